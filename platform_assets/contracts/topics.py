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
TOPICS: tuple[Topic, ...] = (EVENTS, REJECTED)
