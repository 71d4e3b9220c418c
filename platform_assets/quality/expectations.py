"""What can be expected of a data set. Each type is a struct with the tag `type`; `reading` makes them of dicts.

An expectation on rows judges values: a null is no value and is not judged, except by `not_null` and `completeness`.
`mostly` is the share of the judged rows that must pass. Where no row is judged, as in an empty data set, it passes;
an empty data set is found by `row_count`.
"""

import datetime as dt
import decimal
import enum
import math
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Count = Annotated[int, msgspec.Meta(ge=0)]
MOST_VALUES = 10_000


class Severity(enum.StrEnum):
    """Whether a failure makes the validation fail, or is only shown."""

    ERROR = "error"
    WARN = "warn"


class Expectation(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="type"):
    """What all expectations have. Without a name it is called by its type and columns."""

    name: Name | None = None
    severity: Severity = Severity.ERROR

    @property
    def type(self) -> str:
        """The tag."""
        return str(self.__struct_config__.tag)

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The columns that must be there for it to be judged."""
        return ()

    @property
    def label(self) -> str:
        """Its name in results: unique within a suite."""
        return self.name or "_".join((self.type, *self.columns_read))


class ColumnExpectation(Expectation, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An expectation on one column."""

    column: Name

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)


class RowExpectation(ColumnExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One that each row passes or fails by its value."""

    mostly: Share = 1.0


class NotNull(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="not_null"):
    """No null."""


class Completeness(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="completeness"):
    """Neither null nor blank text, in at least the share `mostly`."""

    mostly: Share


class Range(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="range"):
    """Between `min` and `max`, both included unless `exclusive`. Text that is no number fails bounds that are."""

    min: Any = None
    max: Any = None
    exclusive: bool = False

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("`range` needs `min`, `max` or both")
        for bound in (self.min, self.max):
            _check_value(bound, int | float | decimal.Decimal | dt.date | str | None)
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if len({isinstance(bound, int | float | decimal.Decimal) for bound in bounds}) > 1:
            raise ValueError("`min` and `max` are both numbers, or both dates or texts")
        if len(bounds) == 2 and type(bounds[0]) is type(bounds[1]) and bounds[0] > bounds[1]:
            raise ValueError(f"`min` {bounds[0]} is larger than `max` {bounds[1]}")


class Pattern(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="pattern"):
    """The regular expression (RE2's syntax) is found in the text of the value; anchor it with ^ and $."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class InSet(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="in_set"):
    """One of the values, which are all texts, all numbers, all booleans or all dates."""

    values: Annotated[list[Any], msgspec.Meta(min_length=1, max_length=MOST_VALUES)]

    def __post_init__(self) -> None:
        for value in self.values:
            if not isinstance(value, bool):
                _check_value(value, int | float | decimal.Decimal | dt.date | str)
        if len({_family(value) for value in self.values}) > 1:
            raise ValueError("`values` are all texts, all numbers, all booleans or all dates")


class Length(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="length"):
    """So many characters, both ends included."""

    min: Count = 0
    max: Count | None = None

    def __post_init__(self) -> None:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min} is larger than `max` {self.max}")


Operator = Literal["<", "<=", "==", "!=", ">=", ">"]


class Compare(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="compare"):
    """`column` stands in this relation to `other`, a column of the same row; a null in either is not judged."""

    operator: Operator
    other: Name

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.column, self.other)


class ForeignKey(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="foreign_key"):
    """The value stands in the column `field` of the data set `to`, which is named as any data set is."""

    to: Name
    field: Name


class Unique(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="unique"):
    """No value twice. Of rows with one value the first, by `first_by` or as read, passes; the others fail."""

    first_by: Name | None = None

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The column, and the one that says which row is the first."""
        return (self.column, *((self.first_by,) if self.first_by else ()))

    @property
    def label(self) -> str:
        """Without `first_by`."""
        return self.name or f"unique_{self.column}"


class UniqueTogether(Expectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="unique_together"):
    """No combination of values twice, as `unique`; a row with a null in one of the columns is not judged."""

    columns: Annotated[list[Name], msgspec.Meta(min_length=2, max_length=32)]
    first_by: Name | None = None
    mostly: Share = 1.0

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The columns, and the one that says which row is the first."""
        return (*self.columns, *((self.first_by,) if self.first_by else ()))

    @property
    def label(self) -> str:
        """Without `first_by`."""
        return self.name or "_".join(("unique_together", *self.columns))


class UniqueRows(Expectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="unique_rows"):
    """No row twice: all columns are equal, nulls too. The first passes, its repeats fail."""

    mostly: Share = 1.0


class Monotonic(RowExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="monotonic"):
    """In the order of `by`, within `within` where it is given, a value is not smaller than the one before it.

    `direction: decreasing` turns that round; `strictly` refuses equal neighbours too. The row at the break fails.
    """

    by: Name
    within: Name | None = None
    direction: Literal["increasing", "decreasing"] = "increasing"
    strictly: bool = False

    @property
    def columns_read(self) -> tuple[str, ...]:
        """All columns that it looks at."""
        return (self.column, self.by, *((self.within,) if self.within else ()))


class RowCount(Expectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="row_count"):
    """So many rows, both ends included."""

    min: Count = 1
    max: Count | None = None

    def __post_init__(self) -> None:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min} is larger than `max` {self.max}")


class FilledColumns(Expectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="filled_columns"):
    """No column is without any value, unless there are no rows."""


class Freshness(ColumnExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="freshness"):
    """The newest value is at most so old; a time without a zone is UTC. Without a value it fails."""

    max_age_hours: Annotated[float, msgspec.Meta(gt=0)]


class ColumnExists(ColumnExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="column_exists"):
    """The column is there."""


class ColumnType(ColumnExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="column_type"):
    """The column has this type, as DuckDB writes it (BIGINT, VARCHAR, DOUBLE, TIMESTAMP WITH TIME ZONE, …)."""

    data_type: Name


class Drift(ColumnExpectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="drift"):
    """The column is distributed as that of the data set `reference`; see `drift` for the formulas.

    `psi` fails above `threshold` (default 0.2) where chance does not explain it; `ks` (numbers) and `chi_square`
    fail where the p-value is below `threshold` (default 0.001).
    """

    reference: Name
    reference_column: Name | None = None
    method: Literal["psi", "ks", "chi_square"] = "psi"
    threshold: Annotated[float, msgspec.Meta(gt=0)] | None = None
    bins: Annotated[int, msgspec.Meta(ge=2, le=100)] = 10


class CustomSql(Expectation, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="custom_sql"):
    """A SELECT that gives the rows that should not be there, of which `max_rows` are tolerated.

    It reads the data set as `dataset`, on a read-only connection without files and network, within limits.
    """

    sql: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    max_rows: Count = 0


AnyExpectation: TypeAlias = (
    NotNull
    | Completeness
    | Range
    | Pattern
    | InSet
    | Length
    | Compare
    | ForeignKey
    | Unique
    | UniqueTogether
    | UniqueRows
    | Monotonic
    | RowCount
    | FilledColumns
    | Freshness
    | ColumnExists
    | ColumnType
    | Drift
    | CustomSql
)


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | decimal.Decimal):
        return "number"
    return "text" if isinstance(value, str) else "date"


def _check_value(value: Any, allowed: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise ValueError(f"{value!r} is no number, text, date or time")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("NaN is no bound")
