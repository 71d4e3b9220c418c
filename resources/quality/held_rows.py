"""What is held in quarantine now."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import duckdb

from resources.warehouse.database import has_table


@dataclass(frozen=True)
class HeldRow:
    """One row that one suite holds."""

    table: str
    key: str
    suite: str
    reasons: str
    run_id: str
    since: dt.datetime

    def shown(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "table": self.table,
            "key": self.key,
            "suite": self.suite,
            "reasons": self.reasons,
            "run_id": self.run_id,
            "since": self.since.isoformat(),
        }


@dataclass(frozen=True)
class Held:
    """How many rows are held, how often for each reason, and the newest of them."""

    count: int
    by_reason: dict[str, int]
    rows: tuple[HeldRow, ...]


def held_rows(connection: duckdb.DuckDBPyConnection, *, limit: int) -> Held:
    """What is held in a warehouse; nothing where nothing was judged yet."""
    if not has_table(connection, "quality.quarantined_rows"):
        return Held(0, {}, ())
    held = "FROM quality.quarantined_rows WHERE released_at IS NULL"
    count = connection.execute(f"SELECT count(DISTINCT (table_name, row_key)) {held}").fetchall()
    reasons = connection.execute(
        f"SELECT reason, count(*) FROM (SELECT unnest(string_split(reasons, ', ')) AS reason {held}) "  # noqa: S608
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    rows = connection.execute(
        f"SELECT table_name, row_key, suite, reasons, run_id, quarantined_at {held} "
        "ORDER BY quarantined_at DESC, row_key LIMIT $limit",
        {"limit": limit},
    ).fetchall()
    return Held(
        int(count[0][0]),
        {str(reason): int(number) for reason, number in reasons},
        tuple(HeldRow(*row) for row in rows),
    )
