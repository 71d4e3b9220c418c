"""The landing files of a shop, made ahead by several processes, and shown to the loads day by day."""

import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import duckdb
import msgspec

from deployments.scale.sales import PARTITIONS, DayTotals, Shop, make_file
from resources.durable_files import replace
from resources.landing_zone import LandingZone


class LandedDays:
    """Files below a folder: `made/day=…` as they were made, `landing` with what has landed by now."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self._folder = folder
        self._shop = shop
        self.landing = LandingZone(folder / "landing")

    def make(self, say: Callable[[int], None]) -> int:
        """Make the days that are missing; returns how many were. `say` hears how many days are there.

        Days of another shop, or of a DuckDB that hashes otherwise, are removed first.
        """
        about = msgspec.json.encode({"shop": self._shop, "duckdb": duckdb.__version__})
        note = self._folder / "shop.json"
        if not note.is_file() or note.read_bytes() != about:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            replace(note, about)
        missing = [day for day in range(self._shop.days) if not self._totals(day).is_file()]
        say(self._shop.days - len(missing))
        # Spawned: DuckDB's and Arrow's threads do not survive a fork.
        cores = len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = [pool.submit(_make_day, self._day(day), self._totals(day), self._shop, day) for day in missing]
            for number, finished in enumerate(as_completed(waiting), start=self._shop.days - len(missing) + 1):
                finished.result()
                say(number)
        return len(missing)

    def hide_all(self) -> None:
        """Nothing has landed."""
        shutil.rmtree(self.landing.root, ignore_errors=True)
        self.landing.root.mkdir()

    def land(self, day: int) -> list[Path]:
        """Have a day's files landed: they are linked, not copied. Returns the new names."""
        made = self._day(day)
        landed = []
        for path in sorted(made.rglob("*.parquet")):
            target = self.landing.root / path.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
            landed.append(target)
        return landed

    def totals(self) -> dict[str, DayTotals]:
        """What of all distinct events happened on each business day, by its ISO date."""
        sums: dict[str, DayTotals] = {}
        for day in range(self._shop.days):
            for one in msgspec.json.decode(self._totals(day).read_bytes(), type=list[DayTotals]):
                held = sums.get(one.day.isoformat(), DayTotals(one.day, 0, 0, 0))
                sums[one.day.isoformat()] = DayTotals(
                    one.day, held.events + one.events, held.lines + one.lines, held.cents + one.cents
                )
        return sums

    def size_mb(self) -> float:
        """Of all files that were made."""
        return sum(path.stat().st_size for path in (self._folder / "made").rglob("*.parquet")) / 1e6

    def _day(self, day: int) -> Path:
        return self._folder / "made" / f"day={day:04d}"

    def _totals(self, day: int) -> Path:
        return self._folder / "made" / f"totals-{day:04d}.json"


def _make_day(folder: Path, totals: Path, shop: Shop, day: int) -> None:
    """The totals are written last: a day that has them is whole."""
    shutil.rmtree(folder, ignore_errors=True)
    zone = LandingZone(folder)
    made = [one for partition in range(PARTITIONS) for one in make_file(zone, shop, day, partition)]
    replace(totals, msgspec.json.encode(made))
