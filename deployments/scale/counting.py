"""Whether what was sent is what the warehouse holds: each event once, each day's lines and money to the cent."""

from pathlib import Path

import duckdb

from deployments.scale.landed_days import LandedDays
from deployments.scale.report import Counting
from deployments.scale.sales import Shop
from resources.warehouse.database import one_row

_EVENTS = """
SELECT (occurred_at AT TIME ZONE 'America/New_York')::DATE::VARCHAR, count(*)
FROM raw.events
GROUP BY ALL
"""
_LINES = """
SELECT order_date::VARCHAR, count(*), sum(round(sales_value * 100)::BIGINT)::BIGINT
FROM marts.fct_order_lines
GROUP BY ALL
"""


def count(warehouse: Path, shop: Shop, made: LandedDays, bare: Path | None) -> Counting:
    """Compare day by day; with `bare` also the order lines that both sides hold."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        (raw_rows,) = one_row(connection, "SELECT count(*) FROM raw.events")
        (repeated_rows,) = one_row(connection, "SELECT count(*) FROM raw.repeated_events")
        events = dict(connection.execute(_EVENTS).fetchall())
        lines = _lines(connection)
    wrong = [
        day
        for day, totals in made.totals().items()
        if (events.pop(day, 0), lines.get(day, (0, 0))) != (totals.events, (totals.lines, totals.cents))
    ]
    return Counting(
        sent_events=shop.day_events * shop.days,
        sent_repeats=shop.day_repeats * (shop.days - 1),
        raw_rows=raw_rows,
        repeated_rows=repeated_rows,
        wrong_days=sorted([*wrong, *events]),
        bare_lines_differ=None if bare is None else _differing(bare, lines),
    )


def _lines(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    return {day: (count, cents) for day, count, cents in connection.execute(_LINES).fetchall()}


def _differing(bare: Path, lines: dict[str, tuple[int, int]]) -> int:
    """Days on which bare DuckDB holds other lines."""
    with duckdb.connect(bare, read_only=True) as connection:
        others = _lines(connection)
    return len(lines.items() ^ others.items())
