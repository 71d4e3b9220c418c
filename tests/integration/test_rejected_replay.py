"""Rejected events from the door and the stream are mended, sent again and counted once, through the whole platform."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from dagster import DagsterInstance, ExecuteInProcessResult

from deployments.cli import main
from deployments.local.accounting import Accounts
from platform_assets.contracts.events import encode_event
from platform_assets.contracts.rejections import Status
from platform_assets.contracts.topics import EVENTS, REJECTED
from platform_assets.definitions import build_definitions
from platform_assets.defs.ingestion.accepted_events import check_accepted
from platform_assets.defs.jobs import WAREHOUSE_JOB, WITHOUT_REFERENCE
from platform_assets.repair.fixes import Match
from resources.event_log.producer import EventLogProducer
from resources.rejected_events.landed import landed_rejections
from resources.settings import Settings
from resources.settings.api import ApiSettings
from resources.settings.kafka import KafkaSettings
from resources.warehouse import Warehouse
from tests.check_results import shown
from tests.conftest import free_port
from tests.served_api import served_api
from tests.streaming.running_worker import Platform, running_platform
from tests.streaming_records import an_event

pytestmark = pytest.mark.integration

SENT = 1000
BAD = 50
FIXES: list[dict[str, Any]] = [
    {
        "match": {"event_name": "purchase_line", "reason": "got `str` - at `$.payload.quantity`"},
        "steps": [{"do": "cast", "path": "$.payload.quantity", "to": "integer"}],
    },
    {
        "match": {"reason": "coupon_match_disc # is larger than coupon_disc #"},
        "steps": [{"do": "set", "path": "payload.coupon_match_disc", "value": 0}],
    },
    {
        "match": {"origin": "door", "reason": "malformed"},
        "steps": [{"do": "replace_text", "find": "NaN", "with": "null"}],
    },
    {
        "match": {"origin": "door", "reason": "unknown field `user`"},
        "steps": [{"do": "rename", "path": "user", "to": "user_id"}],
    },
    {
        "match": {"origin": "stream"},
        "steps": [
            {"do": "decode_bytes", "encoding": "latin-1"},
            {"do": "replace_value", "path": "event_type", "values": {"click": "user_action"}},
        ],
    },
]


@dataclass
class Scene:
    """A worker, an API and a warehouse on one data folder."""

    platform: Platform
    settings: Settings
    instance: DagsterInstance

    def rejected(self, *arguments: str) -> Result:
        """`analytics rejected …` as an operator calls it."""
        environment = {
            "ANALYTICS_API__PORT": str(self.settings.api.port),
            "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": self.settings.kafka.address,
        }
        return CliRunner().invoke(
            main,
            ["rejected", *arguments, "--data-dir", str(self.settings.root)],
            env=environment,
            catch_exceptions=False,
        )

    def run(self, job: str, **options: Any) -> ExecuteInProcessResult:
        """A job to its success."""
        definitions = build_definitions(self.settings)
        return definitions.resolve_job_def(job).execute_in_process(instance=self.instance, **options)

    def load(self) -> None:
        """Wait until all that was acknowledged has landed, then load and build as the sensor would have it done."""
        accounts = Accounts(self.settings.acknowledged_dir, self.platform.zone, self.settings.state_dir / "losses.json")
        self.platform.wait(lambda: accounts.tally().under_way == 0)
        # The stream's rejections go to the log after the events that they stand among have landed.
        self.platform.wait(lambda: self.platform.landed(REJECTED.name) >= BAD)
        assert accounts.tally().lost == 0
        self.run(WAREHOUSE_JOB, asset_selection=WITHOUT_REFERENCE)

    def row(self, query: str) -> tuple[Any, ...]:
        """The warehouse's answer of one row."""
        with Warehouse.of(self.settings).read() as connection:
            found = connection.execute(query).fetchone()
        assert found is not None
        return found

    def statuses(self) -> Counter[Status]:
        """Of the rejections in the landing zone; the warehouse's mart must say the same."""
        with landed_rejections(self.platform.zone) as found:
            landed = {one.rejection_id: one.status for one in found.each(Match(), None)}
        with Warehouse.of(self.settings).read() as connection:
            built = dict(connection.execute("SELECT rejection_id, status FROM marts.fct_rejections").fetchall())
        assert built == landed
        return Counter(landed.values())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running_platform(tmp_path) as platform, DagsterInstance.ephemeral() as instance:
        settings = Settings(
            data_dir=tmp_path / "data",
            api=ApiSettings(port=free_port()),
            kafka=KafkaSettings(bootstrap_servers=platform.address),
        )
        platform.start()
        with served_api(settings) as address:
            send(address, settings)
            yield Scene(platform, settings, instance)


def send(address: str, settings: Settings) -> None:
    """1,000 events of ten days, 50 of them bad: 44 for the door and 6 written to the log by somebody else."""
    bodies = [body(number) for number in range(SENT - 6)]
    accepted = 0
    for first in range(0, len(bodies), 100):
        answer = httpx.post(
            f"{address}/v1/events",
            content=b"\n".join(bodies[first : first + 100]),
            headers={"Content-Type": "application/x-ndjson"},
            timeout=30,
        )
        answer.raise_for_status()
        accepted += answer.json()["data"]["accepted"]
    assert accepted == SENT - BAD
    good = encode_event(an_event("poison", payload={"page": "/caf?"}))
    poison = [good.replace(b'"poison"', f'"poison-{n}"'.encode()).replace(b"user_action", b"click") for n in range(5)]
    asyncio.run(append(settings, [*poison, good.replace(b"caf?", b"caf\xe9")]))


async def append(settings: Settings, values: list[bytes]) -> None:
    producer = EventLogProducer(settings.kafka.address, [EVENTS.name], marks_dir=settings.acknowledged_dir)
    producer.connect()
    await producer.append(EVENTS.name, [(b"k", value) for value in values])
    producer.close()


def body(number: int) -> bytes:
    """One event; four in a hundred and four more are bad in one of four ways, one of them has no id of its own."""
    line: dict[str, Any] = {
        "basket_id": "b",
        "product_id": "p",
        "store_id": "s",
        "quantity": 2,
        "sales_value": 1.0,
        "retail_disc": 0,
        "coupon_disc": 0.35,
        "coupon_match_disc": 0.35,
    }
    event: dict[str, Any] = {
        "event_id": f"event-{number}",
        "event_name": "purchase_line",
        "source_service": "shop",
        "user_id": f"u{number % 7}",
        "occurred_at": f"2026-03-{1 + number % 10:02d}T12:00:00Z",
        "payload": line,
    }
    wrong = number // 22 % 4 if number % 22 == 0 and number // 22 < 44 else None
    if wrong == 0:
        line["quantity"] = "2"
    elif wrong == 1:
        line["coupon_match_disc"] = 0.54
    elif wrong == 2:
        event["event_name"] = "seen"
        event["payload"] = {"score": float("nan")}
        del event["event_id"]
        event["session_id"] = f"s{number}"
    elif wrong == 3:
        event["user"] = event.pop("user_id")
    return json.dumps(event).encode()


def test_mended_events_are_in_the_warehouse_once_however_often_they_are_replayed(scene: Scene, tmp_path: Path) -> None:
    """The issue's demand: 950 and 50; 1,000 after a fix and a replay; still 1,000 after another replay."""
    fix = tmp_path / "fix.yaml"
    fix.write_text(json.dumps({"fixes": FIXES}))
    scene.load()
    assert scene.row("SELECT count(*) FROM raw.events") == (SENT - BAD,)
    assert scene.statuses() == {Status.OPEN: BAD}
    assert scene.row(
        "SELECT sum(row_count), max(total_rows) FROM marts.data_quality_counts WHERE treatment LIKE 're%ed %'"
    ) == (BAD, SENT)
    before = scene.row("SELECT sum(last_offset - first_offset + 1) FROM raw.loads WHERE topic = 'events.v1'")

    listed = scene.rejected("list", "--json")
    counts = {row["reason"]: row["count"] for row in map(json.loads, listed.stdout.splitlines())}
    assert sum(counts.values()) == BAD
    assert len(counts) == 6
    assert counts["coupon_match_disc # is larger than coupon_disc #"] == 11
    dry = scene.rejected("replay", "--fix", str(fix), "--dry-run")
    assert (dry.exit_code, "50 of 50 would pass" in dry.output) == (0, True), dry.output

    # Without a worker nothing lands, so the second replay cannot know of the first.
    scene.platform.end(signal.SIGTERM)
    first = scene.rejected("replay", "--fix", str(fix))
    assert (first.exit_code, "50 of 50 are on the log" in first.output) == (0, True), first.output
    second = scene.run(
        "rejected_replay_job", run_config={"ops": {"replay_rejected_events": {"config": {"fixes": FIXES}}}}
    )
    assert second.success
    scene.platform.start()
    scene.load()

    assert scene.row("SELECT count(*), count(DISTINCT event_id) FROM raw.events") == (SENT, SENT)
    assert scene.row("SELECT count(*) FROM raw.repeated_events") == (BAD,)
    assert scene.row("SELECT sum(event_count) FROM marts.fct_event_days") == (SENT,)
    assert scene.statuses() == {Status.REPLAYED: BAD}
    assert scene.row(
        "SELECT sum(row_count), max(total_rows) FROM marts.data_quality_counts WHERE treatment LIKE 're%ed %'"
    ) == (0, SENT)
    with Warehouse.of(scene.settings).read() as connection:
        accounted = check_accepted(connection)
    assert accounted.passed, shown(accounted)
    after = scene.row("SELECT sum(last_offset - first_offset + 1) FROM raw.loads WHERE topic = 'events.v1'")
    assert after[0] - before[0] == 2 * BAD

    third = scene.rejected("replay", "--fix", str(fix))
    assert third.output.strip() == "No open rejection matches this fix."
