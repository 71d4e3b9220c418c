"""A broker, a client and workers on one data folder: what every fault is done to."""

import random
import time
from dataclasses import dataclass, field

from platform_assets.contracts.topics import EVENTS, PARTIALS
from resources.event_log.topics import describe_logs
from resources.landing_zone import LandingZone
from tests.faults import invariants
from tests.faults.brokers import Broker
from tests.faults.ledger import Ledger
from tests.faults.proxy import Proxy
from tests.faults.recomputation import final_results, recomputed_results
from tests.faults.waiting import wait_until
from tests.faults.workers import Workers

FEW_ROUNDS = 3
RECOVERY_BOUND_S = {"kafka": 10.0, "embedded": 15.0}


@dataclass
class Scene:
    """`choices` is where every random decision of a test comes from; the seed repeats them."""

    broker: Broker
    workers: Workers
    seed: int
    rounds: int
    proxy: Proxy | None = None
    recoveries_s: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """How often a fault strikes that is no kill: as often in a long run, once in a short one."""
        return self.rounds if self.rounds > FEW_ROUNDS else 1

    def __post_init__(self) -> None:
        self.choices = random.Random(self.seed)  # noqa: S311 - the seed repeats the run

    @property
    def zone(self) -> LandingZone:
        """The landing zone of the shared data folder."""
        return LandingZone(self.workers.data_dir / "landing")

    def moment(self, longest_s: float) -> None:
        """Let some time pass, so that the fault strikes anywhere in the cycle of a file or a batch."""
        self.pass_time(self.choices.random() * longest_s)

    def pass_time(self, seconds: float) -> None:
        """How long a fault lasts."""
        time.sleep(seconds)

    def log(self) -> str:
        """The incarnation of the events topic that the broker holds now."""
        return describe_logs(self.broker.address, [EVENTS.name])[EVENTS.name].log

    def positions(self, log: str) -> dict[int, int]:
        """By partition, the offset that lands next."""
        return {partition: self.zone.next_offset(EVENTS.name, log, partition) for partition in range(EVENTS.partitions)}

    def wait_landed(self, ends: dict[int, int], log: str, *, seconds: float, workers: int | None = None) -> float:
        """Wait until every partition has landed up to these offsets; returns the seconds it took.

        With `workers` given, that many are kept running as a supervisor would.
        """

        def landed() -> bool:
            if workers is not None:
                self.workers.keep(workers)
            positions = self.positions(log)
            return all(positions[partition] >= end for partition, end in ends.items())

        return wait_until(landed, lambda: f"landed {self.positions(log)} of {ends}\n{self.workers.logs()}", seconds)

    def recover(self, ledger: Ledger, log: str, *, workers: int | None = None, seconds: float = 60) -> float:
        """Wait until all that was acknowledged by now has landed, every partition of it; notes how long it took."""
        took = self.wait_landed(ledger.ends, log, seconds=seconds, workers=workers)
        self.recoveries_s.append(took)
        return took

    def drain(self, ledger: Ledger, *, workers: int | None = None, seconds: float = 60) -> None:
        """Close the log and wait until its end has landed; then check the places, the events and the counts."""
        ends, log = ledger.finish(), self.log()
        self.wait_landed(ends, log, seconds=seconds, workers=workers)
        invariants.check_places(self.zone, ends, log)

    def check_windows(self, *, seconds: float = 30, merged: bool = True) -> None:
        """I5: what the stream said at last of every window is what the landed events give, each window told alike.

        Without `merged` only the windows that each partition has alone. After a broker forgot its log, the new log of
        parts also has what was left of the old events, which cannot be told apart in a merged window.
        """
        logs = describe_logs(self.broker.address, [EVENTS.name, PARTIALS.name])
        recomputed = recomputed_results(self.zone, logs[EVENTS.name].log)
        expected, ended = recomputed.results, recomputed.ended
        if not merged:
            del logs[PARTIALS.name]
            expected = {place: result for place, result in expected.items() if place[1] is not None}
            ended &= expected.keys()
        sources = {found.log for found in logs.values()}

        def told() -> bool:
            return final_results(self.zone, sources).keys() >= ended

        def difference() -> str:
            missing = ended - final_results(self.zone, sources).keys()
            return f"I5: {len(missing)} of {len(ended)} windows not told, {sorted(missing, key=str)[:5]}"

        # A look reads every landed window.
        wait_until(told, lambda: f"{difference()}\n{self.workers.logs()}", seconds, every_s=0.5)
        found = final_results(self.zone, sources)
        more = sorted(found.keys() - expected.keys(), key=str)
        assert not more, f"I5: {len(more)} windows that are not there, {more[:5]}"
        wrong = [(place, told_as, expected[place]) for place, told_as in found.items() if told_as != expected[place]]
        assert not wrong, f"I5: {len(wrong)} of {len(found)} windows differ, told and recomputed: {wrong[:5]}"
        self.notes.append(f"{len(found)} windows")

    def check_everything_once(self, ledger: Ledger) -> None:
        """Close the log; then places, events, counts, windows and the times of recovery, all of it."""
        self.drain(ledger)
        self.check_windows()
        landed = invariants.landed_events(self.zone)
        assert not invariants.check_events(ledger, landed)
        invariants.check_counts(ledger, landed, self.zone)
        self.check_recovery_times()

    def check_recovery_times(self) -> None:
        """I7."""
        bound = RECOVERY_BOUND_S[self.broker.name]
        assert max(self.recoveries_s) <= bound, f"I7: recovery took {max(self.recoveries_s):.1f} s, not {bound:.0f} s"
