"""Tells from the published snapshot's pointer how much of the landing zone the warehouse has taken."""

from pathlib import Path

from platform_assets.contracts.topics import TOPICS
from resources.landing_zone import LandingZone
from resources.warehouse.snapshots import read_pointer


def snapshot_covers(snapshots_dir: Path, landing: LandingZone) -> bool:
    """Whether the published marts were built from everything that has landed by now."""
    snapshot = read_pointer(snapshots_dir)
    if snapshot is None:
        return False
    loaded = {(end.topic, end.log, end.partition): end.next_offset for end in snapshot.loaded}
    return all(
        loaded.get((file.topic, file.log, file.partition), 0) > file.last
        for topic in TOPICS
        for file in landing.files(topic.name)
    )
