"""Compiles a checked question about a metric to SQL: names only from the declaration, values only as parameters."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from platform_assets.contracts.metric_queries import MetricQuery, Order
from platform_assets.contracts.metrics import (
    Condition,
    Count,
    CountDistinct,
    Grain,
    Measure,
    Metric,
    Operator,
    Ratio,
    Sum,
    TimeColumn,
    ValueType,
)
from platform_assets.quality.sql_text import quoted

_COMPARISONS = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.GT: ">",
    Operator.GTE: ">=",
    Operator.LT: "<",
    Operator.LTE: "<=",
}


@dataclass(frozen=True)
class CompiledQuery:
    """SQL and the values of its `$parameters`."""

    sql: str
    parameters: dict[str, Any]


def compile_query(query: MetricQuery, business_timezone: str) -> CompiledQuery:
    """The SELECT over the published marts; its columns are `query.columns`.

    One row more than the limit is asked for, so that the reader can tell whether there are more.
    """
    return _Compiler(business_timezone).compiled(query)


def last_day_query(metric: Metric, business_timezone: str) -> CompiledQuery:
    """The last business day that the metric's mart has, as one row with one column."""
    compiler = _Compiler(business_timezone)
    # The greatest of the bare column, which statistics answer, and only then its day.
    newest = f"max({quoted(metric.time.name)})"
    day = compiler.day(metric.time, newest)
    return CompiledQuery(f"SELECT {day} FROM marts.{quoted(metric.mart)}", compiler.parameters)  # noqa: S608


@dataclass
class _Compiler:
    business_timezone: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def compiled(self, query: MetricQuery) -> CompiledQuery:
        metric = query.metric
        selected = [f"{quoted(name)}" for name in query.dimensions]
        if query.grain is not Grain.TOTAL:
            selected.insert(0, f"{self._period(metric.time, query.grain)} AS period")
        selected.append(f"{self._measure(metric.measure)} AS value")
        conditions = [self._condition(condition) for condition in (*metric.filters, *query.filters)]
        conditions += self._range(metric.time, query.first_day, query.last_day)
        parts = [f"SELECT {', '.join(selected)}", f"FROM marts.{quoted(metric.mart)}"]
        if conditions:
            parts.append(f"WHERE {' AND '.join(conditions)}")
        if len(selected) > 1:
            parts.append(f"GROUP BY {', '.join(str(place + 1) for place in range(len(selected) - 1))}")
        if query.order:
            parts.append(f"ORDER BY {', '.join(_key(order, query) for order in query.order)}")
        parts.append(f"LIMIT {self._bound(query.limit + 1)}")
        return CompiledQuery("\n".join(parts), self.parameters)

    def _bound(self, value: Any) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def _period(self, time: TimeColumn, grain: Grain) -> str:
        day = self.day(time, quoted(time.name))
        # DuckDB's week is the ISO week: it begins on Monday.
        return day if grain is Grain.DAY else f"CAST(date_trunc('{grain.value}', {day}) AS DATE)"

    def day(self, time: TimeColumn, moment: str) -> str:
        """The business day of an expression over the time column."""
        if time.type is ValueType.DATE:
            return moment
        return f"CAST(timezone({self._bound(self.business_timezone)}, {moment}) AS DATE)"

    def _range(self, time: TimeColumn, first_day: dt.date | None, last_day: dt.date | None) -> list[str]:
        """On the bare column, so that whole row groups are skipped by their smallest and largest value."""
        column = quoted(time.name)
        conditions = []
        if first_day is not None:
            conditions.append(f"{column} >= {self._begin(time, first_day)}")
        if last_day is not None:
            conditions.append(f"{column} < {self._begin(time, last_day + dt.timedelta(days=1))}")
        return conditions

    def _begin(self, time: TimeColumn, day: dt.date) -> str:
        bound = self._bound(day)
        if time.type is ValueType.DATE:
            return bound
        return f"timezone({self._bound(self.business_timezone)}, CAST({bound} AS TIMESTAMP))"

    def _measure(self, measure: Measure) -> str:
        match measure:
            case Sum():
                return _sum(measure)
            case Count():
                where = " AND ".join(self._condition(condition) for condition in measure.where)
                return f"count(*) FILTER (WHERE {where})" if where else "count(*)"
            case CountDistinct():
                return f"count(DISTINCT {quoted(measure.column)})"
            case Ratio():
                numerator, denominator = self._measure(measure.numerator), self._measure(measure.denominator)
                return f"CAST({numerator} AS DOUBLE) / nullif(CAST({denominator} AS DOUBLE), 0)"

    def _condition(self, condition: Condition) -> str:
        column = quoted(condition.column)
        match condition.operator:
            case Operator.NULL:
                return f"{column} IS NULL" if condition.values[0] else f"{column} IS NOT NULL"
            case Operator.IN:
                return f"{column} IN ({', '.join(self._bound(value) for value in condition.values)})"
            case _:
                return f"{column} {_COMPARISONS[condition.operator]} {self._bound(condition.values[0])}"


def _sum(measure: Sum) -> str:
    columns = [quoted(column) for column in measure.columns]
    if not measure.is_money:
        return f"sum({' + '.join(columns)})"
    # As macros/sum_money.sql: sums of doubles depend on the order of the rows.
    return f"CAST(sum({' + '.join(f'CAST({column} AS DECIMAL(18, 4))' for column in columns)}) AS DOUBLE)"


def _key(order: Order, query: MetricQuery) -> str:
    place = query.columns.index(order.key) + 1
    return f"{place} {'DESC' if order.descending else 'ASC'} NULLS LAST"
