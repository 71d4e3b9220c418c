"""The landed records, as assets that the stream worker writes."""

from itertools import groupby

from dagster import AssetCheckResult, AssetChecksDefinition, AssetKey, AssetSpec, ResourceParam, asset_check

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import EVENTS, LATE, REJECTED, WINDOWS, Topic
from platform_assets.defs.ingestion.event_log import EVENTS_LOG, LATE_LOG, REJECTED_LOG, WINDOWS_LOG
from platform_assets.defs.stages import PLATFORM_TEAM, Stage
from resources.landing_zone import LandingZone

LANDED_EVENTS = Stage.LANDING.key("events")
LANDED_REJECTED_EVENTS = Stage.LANDING.key("rejected_events")
LANDED_WINDOWS = Stage.LANDING.key("windows")
LANDED_LATE_EVENTS = Stage.LANDING.key("late_events")
_SHOWN_BREAKS = 20


def landed_asset(key: AssetKey, topic: Topic, log: AssetKey, *, group: str = Stage.LANDING.group) -> AssetSpec:
    """The landed records of a topic as an asset that is made elsewhere."""
    return AssetSpec(
        key,
        deps=[log],
        group_name=group,
        owners=[PLATFORM_TEAM],
        kinds={"parquet"},
        description=(
            f"The records of {topic.name} as immutable Parquet files, landed by the stream worker. A file's name says "
            "which offsets of which incarnation it covers; the names are the sink's commit log."
        ),
    )


def ranges_check(key: AssetKey, topic: Topic) -> AssetChecksDefinition:
    """`landing_ranges_are_contiguous` of a topic; see `check_ranges`."""

    @asset_check(
        asset=key,
        name="landing_ranges_are_contiguous",
        description="In every partition the files follow on each other from offset 0, without gap or overlap.",
    )
    def check(landing_zone: ResourceParam[LandingZone]) -> AssetCheckResult:
        return check_ranges(landing_zone, topic)

    return check


events = landed_asset(LANDED_EVENTS, EVENTS, EVENTS_LOG)
rejected_events = landed_asset(LANDED_REJECTED_EVENTS, REJECTED, REJECTED_LOG)
windows = landed_asset(LANDED_WINDOWS, WINDOWS, WINDOWS_LOG)
late_events = landed_asset(LANDED_LATE_EVENTS, LATE, LATE_LOG)

event_ranges_are_contiguous = ranges_check(LANDED_EVENTS, EVENTS)
rejected_event_ranges_are_contiguous = ranges_check(LANDED_REJECTED_EVENTS, REJECTED)
window_ranges_are_contiguous = ranges_check(LANDED_WINDOWS, WINDOWS)
late_event_ranges_are_contiguous = ranges_check(LANDED_LATE_EVENTS, LATE)


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
