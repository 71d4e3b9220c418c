"""The topics of the event log: name, partitions and what decides the partition."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One topic. `partition_key` names the field that keeps records together; order holds within a partition only."""

    name: str
    partitions: int
    partition_key: str
    description: str


EVENTS = Topic(
    name="events.v1",
    partitions=4,
    partition_key="user_id, else session_id, else event_id",
    description="Every accepted event, one record per event, as JSON.",
)
REJECTED = Topic(
    name="events.rejected.v1",
    partitions=1,
    partition_key="event_id",
    description="Every event that the door refused or the stream could not decode, with the reason.",
)
WINDOWS = Topic(
    name="windows.v1",
    partitions=4,
    partition_key="that of the source: windows of a user stand where the user's events do",
    description="Changes and final results of windows, a record per micro-batch and definition.",
)
PARTIALS = Topic(
    name="windows.partials.v1",
    partitions=4,
    partition_key="the window's key",
    description="What each partition of the events has for a window on another key than theirs, to be merged.",
)
LATE = Topic(
    name="events.late.v1",
    partitions=1,
    partition_key="event_id",
    description="Events that came after the end of a window, with the windows that they are not counted in.",
)
PREDICTIONS = Topic(
    name="predictions.v1",
    partitions=4,
    partition_key="entity_id",
    description="What the champion predicted in the stream, one record per entity and change of its features.",
)
TOPICS: tuple[Topic, ...] = (EVENTS, REJECTED, WINDOWS, PARTIALS, LATE, PREDICTIONS)
