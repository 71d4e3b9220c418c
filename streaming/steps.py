"""What the records of a topic go through once they are decoded: they land, are counted in windows, or both."""

from collections.abc import Mapping
from dataclasses import dataclass

from streaming.emitter import Emitter
from streaming.lander import Lander
from streaming.sink import LandingSink, Partition
from streaming.stage import Stage


@dataclass(frozen=True)
class Steps:
    """The steps by topic."""

    lander: Lander
    landed_topics: frozenset[str]
    stages: Mapping[str, Stage]
    emitters: Mapping[str, Emitter]
    """Of each stage: publishes its news and saves its state."""

    @property
    def topics(self) -> frozenset[str]:
        """The topics that are read: those that land, and those that a stage takes."""
        return self.landed_topics | self.stages.keys()

    @property
    def sink(self) -> LandingSink:
        """What the lander lands."""
        return self.lander.sink

    def positions(self, place: Partition, log: str) -> list[int]:
        """How far each step has taken this incarnation of a partition; of those that have begun it."""
        topic, partition = place
        positions = []
        if topic in self.landed_topics and (found := self.sink.position(topic, partition, log)) is not None:
            positions.append(found)
        stage = self.stages.get(topic)
        if stage is not None and (found := stage.position(partition, log)) is not None:
            positions.append(found)
        return positions
