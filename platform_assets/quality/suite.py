"""A suite: the expectations on one data set, and which of its rows they look at. Code or a YAML file.

name: users
dataset: data/users.parquet
mask: [nickname]
expectations:
  - {type: not_null, column: user_id}
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from platform_assets.quality.expectations import AnyExpectation, Name
from platform_assets.quality.reading import BadExpectation, read_expectations, refuse_unknown
from platform_assets.quality.sql_text import Bindings, quoted

MAX_FILE_BYTES = 1_000_000
FieldType = Literal["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMPTZ", "DATE"]


class Suite(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Expectations on a data set.

    Args:
        name: unique among suites; results are kept under it.
        dataset: a path, an address s3://… or a table of the warehouse, as `marts.fct_orders`; a person's file may leave
            it to the command line.
        mask: columns whose values no sample shows.
        watermark: the column that says when a row was loaded; a run judges only what was loaded since the one before.
        only: rows with these values in these columns, and no others.
        payload: columns to take out of the JSON column `payload`, by the name of the field, with their types.
        quarantine: rows that fail are kept out of the models until they pass; for landed tables, wants `watermark`.
    """

    name: Name
    expectations: list[AnyExpectation]
    dataset: str = ""
    mask: list[str] = []
    watermark: str | None = None
    only: dict[str, str] = {}
    payload: dict[str, FieldType] = {}
    quarantine: bool = False

    def __post_init__(self) -> None:
        if self.quarantine and self.watermark is None:
            raise ValueError("a suite with `quarantine` needs `watermark`")

    @property
    def fingerprint(self) -> str:
        """The same for the same suite: what passed another one may fail this one."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    def relation(self, table: str, bindings: Bindings, conditions: Sequence[str] = ()) -> str:
        """What stands after FROM for the suite's rows of a table, whose name is quoted already."""
        fields = [
            f"TRY_CAST(json_extract_string(payload, {bindings.add(_pointer(name))}) AS {kind}) AS {quoted(name)}"
            for name, kind in self.payload.items()
        ]
        where = [f"{quoted(name)} = {bindings.add(value)}" for name, value in self.only.items()]
        condition = " AND ".join([*where, *conditions]) or "true"
        return f"(SELECT {', '.join(['*', *fields])} FROM {table} WHERE {condition})"  # noqa: S608 - quoted names


def _pointer(name: str) -> str:
    """A field of the outermost object as a JSON pointer, which takes any name; a JSON path takes no quotes."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def read_suite(text: bytes) -> Suite:
    """The suite of a YAML or JSON file.

    Raises:
        BadExpectation: it cannot be read; the message names the place and what is allowed.
    """
    if len(text) > MAX_FILE_BYTES:
        raise BadExpectation(f"A suite has at most {MAX_FILE_BYTES:,} bytes")
    try:
        document = msgspec.yaml.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadExpectation(f"This is no YAML: {error}") from None
    if not isinstance(document, Mapping):
        raise BadExpectation("A suite is a mapping with `name` and `expectations`")
    refuse_unknown(document, Suite.__struct_fields__, "suite")
    expectations = read_expectations(document.get("expectations", []))
    try:
        suite = msgspec.convert({**document, "expectations": []}, Suite)
    except msgspec.ValidationError as error:
        raise BadExpectation(f"suite: {error}") from None
    return msgspec.structs.replace(suite, expectations=expectations)
