"""A version made ready: compared by its shape, enforced by its validator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from platform_assets.contracts.event_schemas.dialect import read_schema
from platform_assets.contracts.event_schemas.keywords import Fault, UnsupportedSchema
from platform_assets.contracts.event_schemas.shapes import Shape
from platform_assets.contracts.event_schemas.versions import SchemaVersion

_MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True)
class CompiledSchema:
    """One version; `shape` is what it says, `validator` judges payloads by it."""

    version: SchemaVersion
    shape: Shape
    validator: jsonschema_rs.Draft202012Validator

    def fault(self, payload: dict[str, Any]) -> str | None:
        """What the payload breaks, without quoting its values; None where it fits."""
        if self.validator.is_valid(payload):
            return None
        error = next(iter(self.validator.iter_errors(payload)))
        name, number = self.version.event_name, self.version.version
        return f"{error.message[:_MAX_MESSAGE_CHARS]} - at `{_place(error.instance_path)}` (schema {name} v{number})"


def compile_version(version: SchemaVersion) -> CompiledSchema:
    """Check and compile.

    Raises:
        UnsupportedSchema: the schema is outside the subset, or a pattern in it is no regular expression.
    """
    shape = read_schema(version.document)
    try:
        # Linear time whatever the pattern: an engine that backtracks could be kept busy by one event.
        options = jsonschema_rs.RegexOptions()
        validator = jsonschema_rs.Draft202012Validator(version.document, mask="the value", pattern_options=options)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        path, message = "#", str(error)
        if isinstance(error, jsonschema_rs.ValidationError):
            path, message = "/".join(["#", *map(str, error.instance_path)]), error.message
        remedy = "write it as JSON Schema 2020-12; patterns go without look-around and back-references"
        raise UnsupportedSchema([Fault(path, message[:_MAX_MESSAGE_CHARS], remedy)]) from None
    return CompiledSchema(version, shape, validator)


def _place(path: Sequence[str | int]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "$.payload" + "".join(steps)[:_MAX_MESSAGE_CHARS]
