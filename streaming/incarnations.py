"""Which incarnation of each topic the broker holds, and whether it still is the one that records were read from."""

import logging
from collections.abc import Collection, Iterable

from resources.event_log.topics import Log, LogUnavailable, describe_logs

_log = logging.getLogger(__name__)


class LogReplaced(RuntimeError):
    """The broker holds another incarnation of a topic than the one this worker reads; a restart goes on with it."""


class UnusableLogId(RuntimeError):
    """An incarnation's id cannot be a folder name, so what landed under it would be found by no reader."""


class Incarnations:
    """Asks the broker; every call blocks and belongs off the event loop."""

    def __init__(self, bootstrap_servers: str, *, timeout_s: float = 5.0) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._timeout_s = timeout_s

    def describe(self, topics: Iterable[str]) -> dict[str, Log]:
        """The incarnations in force, by topic.

        Raises:
            LogUnavailable: the broker did not answer, or a topic does not exist.
            UnusableLogId: an id holds a slash, as standard base64 does and Kafka's own form of a topic id does not.
        """
        logs = describe_logs(self._bootstrap_servers, topics, timeout_s=self._timeout_s)
        for log in logs.values():
            if "/" in log.log:
                raise UnusableLogId(
                    f"The id {log.log} of topic {log.topic} holds a slash and cannot name a folder of the landing "
                    "zone; resources.event_log.topics has to describe logs in URL-safe base64"
                )
        return logs

    def verify(self, expected: Collection[tuple[str, str]]) -> None:
        """Check (topic, incarnation) pairs after their records were read and before they become files.

        A broker that lost its log and came back answers fetches at the old offsets with other records. Asked after
        the fetch, an unchanged id proves that the records are of that incarnation, since none ever comes back. Where
        the broker cannot be asked the rows are written: they came from the incarnation that was there before.

        Raises:
            LogReplaced: an id has changed. What was buffered may be of either log and must not be written.
        """
        try:
            current = describe_logs(self._bootstrap_servers, {topic for topic, _ in expected}, timeout_s=2.0)
        except LogUnavailable as error:
            _log.warning("incarnation_unverified reason=%s", error)
            return
        for topic, log in expected:
            if current[topic].log != log:
                raise LogReplaced(
                    f"Topic {topic} is now log {current[topic].log}; this worker read {log}, which is gone with "
                    "whatever of it had not landed"
                )
