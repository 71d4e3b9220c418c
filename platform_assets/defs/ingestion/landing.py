"""The landed records, as assets that the stream worker writes."""

from itertools import groupby

from dagster import AssetCheckResult, AssetKey, AssetSpec, ResourceParam, asset_check

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import EVENTS, REJECTED, Topic
from platform_assets.defs.ingestion.event_log import EVENTS_LOG, REJECTED_LOG
from platform_assets.defs.stages import PLATFORM_TEAM, Stage
from resources.landing_zone import LandingZone

LANDED_EVENTS = Stage.LANDING.key("events")
LANDED_REJECTED_EVENTS = Stage.LANDING.key("rejected_events")
_SHOWN_BREAKS = 20


def _landed_asset(key: AssetKey, topic: Topic, log: AssetKey) -> AssetSpec:
    return AssetSpec(
        key,
        deps=[log],
        group_name=Stage.LANDING.group,
        owners=[PLATFORM_TEAM],
        kinds={"parquet"},
        description=(
            f"The records of {topic.name} as immutable Parquet files, landed by the stream worker. A file's name says "
            "which offsets of which incarnation it covers; the names are the sink's commit log."
        ),
    )


events = _landed_asset(LANDED_EVENTS, EVENTS, EVENTS_LOG)
rejected_events = _landed_asset(LANDED_REJECTED_EVENTS, REJECTED, REJECTED_LOG)


@asset_check(
    asset=LANDED_EVENTS,
    name="landing_ranges_are_contiguous",
    description="In every partition the files follow on each other from offset 0, without gap or overlap.",
)
def event_ranges_are_contiguous(landing_zone: ResourceParam[LandingZone]) -> AssetCheckResult:
    """See `check_ranges`."""
    return check_ranges(landing_zone, EVENTS)


@asset_check(
    asset=LANDED_REJECTED_EVENTS,
    name="landing_ranges_are_contiguous",
    description="In every partition the files follow on each other from offset 0, without gap or overlap.",
)
def rejected_event_ranges_are_contiguous(landing_zone: ResourceParam[LandingZone]) -> AssetCheckResult:
    """See `check_ranges`."""
    return check_ranges(landing_zone, REJECTED)


def check_ranges(landing_zone: LandingZone, topic: Topic) -> AssetCheckResult:
    """Passes if no partition of any incarnation has a gap or an overlap; shows the first of them."""
    files = landing_zone.files(topic.name)
    breaks = [
        found
        for _, partition in groupby(files, key=lambda file: (file.log, file.partition))
        for found in _breaks(list(partition))
    ]
    return AssetCheckResult(
        passed=not breaks,
        metadata={
            "files": len(files),
            "incarnations": len({file.log for file in files}),
            "covered_offsets": sum(file.last - file.first + 1 for file in files),
            "breaks": len(breaks),
            "first_breaks": breaks[:_SHOWN_BREAKS],
        },
    )


def _breaks(files: list[LandingFile]) -> list[str]:
    """Where the ordered files of one partition do not follow on each other."""
    found, position = [], 0
    for file in files:
        if file.first != position:
            kind = "gap" if file.first > position else "overlap"
            found.append(f"{kind} before {file.path}: expected offset {position}")
        position = max(position, file.last + 1)
    return found
