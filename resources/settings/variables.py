"""The names of all settings: what `ANALYTICS_…` variables there are, and which of them are secrets."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

PREFIX = "ANALYTICS_"


@dataclass(frozen=True)
class Variable:
    """One setting. `path` leads to it from the tree's root."""

    name: str
    path: tuple[str, ...]
    field: FieldInfo

    @property
    def is_secret(self) -> bool:
        """Whether its value may be seen by nobody."""
        annotation = self.field.annotation
        return annotation is SecretStr or SecretStr in typing.get_args(annotation)

    def value_in(self, settings: BaseModel) -> object:
        """Its value in a tree."""
        value: object = settings
        for part in self.path:
            value = getattr(value, part)
        return value


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are none of ours: for a process that is to have other settings, or none and no secret."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def variables_of(tree: type[BaseModel]) -> dict[str, Variable]:
    """Every setting below a tree, by the name of its variable, in the order of the code."""
    return {variable.name: variable for variable in _walk(tree, ())}


def secrets_of(settings: BaseModel) -> Iterator[SecretStr]:
    """Every secret that a tree holds."""
    for variable in variables_of(type(settings)).values():
        value = variable.value_in(settings)
        if isinstance(value, SecretStr):
            yield value


def _walk(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Variable]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, path)
        else:
            yield Variable(variable_name(path), path, field)


def variable_name(path: tuple[object, ...]) -> str:
    """The variable that sets what stands at this path."""
    return PREFIX + "__".join(str(part) for part in path).upper()
