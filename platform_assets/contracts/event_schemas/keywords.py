"""The subset of JSON Schema 2020-12 that payload schemas are written in.

| On | Assertions |
|---|---|
| any | `type` (one, or a list), or `anyOf` alone, or `enum`/`const` of scalars (beside `type` at most) |
| numbers | `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum` |
| strings | `minLength`, `maxLength`, `pattern` (a regular expression without look-around and back-references) |
| arrays | `items`, `minItems`, `maxItems` |
| objects | `properties`, `required`, `additionalProperties` |

Annotations (`title`, `description`, `default`, `examples`, `deprecated`, `$comment`) may stand anywhere. All else is
refused with the reason: what the comparison of two versions does not understand, it cannot promise anything about.
"""

from dataclasses import dataclass

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES = 65_536
MAX_DEPTH = 32
# A level of schemas takes up to four of JSON. What writes answers gives up at 255.
MAX_JSON_DEPTH = 150
MAX_SUBSCHEMAS = 500
MAX_ALTERNATIVES = 16
MAX_ENUM_VALUES = 1000
MAX_FAULTS = 50
# Beyond it, readers of JSON disagree about which number is meant.
LARGEST_NUMBER = 2**53

ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})
ROOT_ANNOTATIONS = frozenset({"$schema", "$id"})
NUMBER_KEYWORDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
KEYWORDS_OF: dict[str, frozenset[str]] = {
    "null": frozenset(),
    "boolean": frozenset(),
    "integer": NUMBER_KEYWORDS,
    "number": NUMBER_KEYWORDS,
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
BY_TYPE: frozenset[str] = frozenset().union(*KEYWORDS_OF.values())
ASSERTIONS = BY_TYPE | {"type", "anyOf", "enum", "const"}
INSTEAD = {
    "$ref": "write the schema out where it is used",
    "$defs": "write the schemas out where they are used",
    "oneOf": "use anyOf",
    "allOf": "write one schema that says all of it",
    "format": "say it by `pattern`; most readers take a format for a comment",
    "nullable": 'use "type": ["string", "null"], or anyOf',
    "prefixItems": "use an object with a property for each place",
    "patternProperties": "use `additionalProperties` with a schema",
    "multipleOf": 'use "type": "integer" in the smallest unit',
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a schema: where in it, as a JSON pointer, and what to do."""

    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


class UnsupportedSchema(ValueError):
    """A schema outside the subset, or one that nothing fits. `faults` names each place."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults
