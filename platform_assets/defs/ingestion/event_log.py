"""The topics of the event log, as assets that the door and the stream worker write."""

from collections.abc import Sequence

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetKey,
    AssetSpec,
    ResourceParam,
    asset_check,
)

from platform_assets.contracts.topics import EVENTS, LATE, REJECTED, WINDOWS, Topic
from platform_assets.defs.ingestion.routes import INGEST_ROUTE
from platform_assets.defs.stages import PLATFORM_TEAM, Stage
from resources.event_log.acknowledged import read_acknowledged
from resources.event_log.topics import LogUnavailable, describe_logs
from resources.landing_zone import LandingZone
from resources.settings import Settings

EVENTS_LOG = Stage.LOG.key("events")
REJECTED_LOG = Stage.LOG.key("rejected_events")
WINDOWS_LOG = Stage.LOG.key("windows")
LATE_LOG = Stage.LOG.key("late_events")
_TIMEOUT_S = 5.0


def topic_asset(key: AssetKey, topic: Topic, deps: Sequence[AssetKey], *, group: str = Stage.LOG.group) -> AssetSpec:
    """A topic as an asset that is made elsewhere."""
    return AssetSpec(
        key,
        deps=deps,
        group_name=group,
        owners=[PLATFORM_TEAM],
        kinds={"kafka"},
        description=f"Topic {topic.name}. {topic.description}",
        metadata={"topic": topic.name, "partitions": topic.partitions, "partition_key": topic.partition_key},
    )


def topic_check(key: AssetKey, topic: Topic, name: str) -> AssetChecksDefinition:
    """The check of a topic; see `compare_log`."""

    @asset_check(
        asset=key,
        name=name,
        description="The broker holds the topic, in the incarnation that the door and landing know.",
    )
    def check(settings: ResourceParam[Settings], landing_zone: ResourceParam[LandingZone]) -> AssetCheckResult:
        return compare_log(settings, landing_zone, topic)

    return check


events = topic_asset(EVENTS_LOG, EVENTS, [INGEST_ROUTE])
rejected_events = topic_asset(REJECTED_LOG, REJECTED, [INGEST_ROUTE, EVENTS_LOG])
windows = topic_asset(WINDOWS_LOG, WINDOWS, [EVENTS_LOG])
late_events = topic_asset(LATE_LOG, LATE, [EVENTS_LOG])

events_topic_has_the_landed_log = topic_check(EVENTS_LOG, EVENTS, "events_topic_has_the_landed_log")
rejected_topic_has_the_landed_log = topic_check(REJECTED_LOG, REJECTED, "rejected_topic_has_the_landed_log")
windows_topic_has_the_landed_log = topic_check(WINDOWS_LOG, WINDOWS, "windows_topic_has_the_landed_log")
late_topic_has_the_landed_log = topic_check(LATE_LOG, LATE, "late_topic_has_the_landed_log")


def compare_log(
    settings: Settings, landing_zone: LandingZone, topic: Topic, *, timeout_s: float = _TIMEOUT_S
) -> AssetCheckResult:
    """Passes if the topic is there with its partitions and, once the door wrote to this incarnation, some of it landed.

    What is acknowledged and has not landed is shown; landing trails by a few seconds.
    """
    try:
        found = describe_logs(settings.kafka.address, [topic.name], timeout_s=timeout_s)[topic.name]
    except LogUnavailable as error:
        return AssetCheckResult(passed=False, metadata={"cause": str(error)})
    acknowledged = [
        marks.next_offsets
        for marks in read_acknowledged(settings.acknowledged_dir)
        if marks.topic == topic.name and marks.log == found.log
    ]
    landed = [landing_zone.next_offset(topic.name, found.log, partition) for partition in range(found.partitions)]
    acknowledged_count = sum(sum(offsets) for offsets in acknowledged)
    return AssetCheckResult(
        passed=found.partitions == topic.partitions and (acknowledged_count == 0 or sum(landed) > 0),
        severity=AssetCheckSeverity.ERROR,
        metadata={
            "log": found.log,
            "partitions": found.partitions,
            "acknowledged_records": acknowledged_count,
            "landed_records": sum(landed),
            "records_under_way": max(acknowledged_count - sum(landed), 0),
            "landed_incarnations": len(landing_zone.logs(topic.name)),
        },
    )
