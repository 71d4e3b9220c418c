"""Makes the topics and tells which incarnation of each the broker holds."""

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from platform_assets.contracts.topics import TOPICS, Topic


class LogUnavailable(RuntimeError):
    """The broker does not answer, or not in time. Nothing was acknowledged."""


@dataclass(frozen=True)
class Log:
    """One incarnation of one topic: `log` is the id that the broker minted when it made the topic."""

    topic: str
    log: str
    partitions: int


def ensure_topics(
    bootstrap_servers: str, topics: Iterable[Topic] = TOPICS, *, replication: int = 1, timeout_s: float = 10.0
) -> dict[str, Log]:
    """Make the topics that are missing and describe all of them, by name.

    Raises:
        LogUnavailable: the broker did not answer in time.
    """
    wanted = list(topics)
    admin = _admin(bootstrap_servers)
    futures = admin.create_topics(
        [NewTopic(topic.name, topic.partitions, replication) for topic in wanted],
        operation_timeout=timeout_s,
        request_timeout=timeout_s,
    )
    for name, future in futures.items():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise LogUnavailable(f"Topic {name} could not be made on {bootstrap_servers}: {error}") from error
        except TimeoutError as error:
            raise LogUnavailable(f"{bootstrap_servers} did not make topic {name} in {timeout_s:.0f} s") from error
    return describe_logs(bootstrap_servers, [topic.name for topic in wanted], timeout_s=timeout_s)


def describe_logs(bootstrap_servers: str, names: Iterable[str], *, timeout_s: float = 10.0) -> dict[str, Log]:
    """The incarnations of existing topics, by name.

    Raises:
        LogUnavailable: the broker did not answer, or a topic does not exist.
    """
    admin = _admin(bootstrap_servers)
    logs: dict[str, Log] = {}
    for name, future in admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout_s).items():
        try:
            found = future.result(timeout_s)
        except (KafkaException, TimeoutError) as error:
            raise LogUnavailable(f"Topic {name} could not be described on {bootstrap_servers}: {error}") from error
        # The client writes the id in plain base64; as part of a path it takes Kafka's own, URL-safe form.
        log = str(found.topic_id).replace("+", "-").replace("/", "_")
        logs[name] = Log(name, log, len(found.partitions))
    return logs


def _admin(bootstrap_servers: str) -> AdminClient:
    # Idle connections that a broker closes are not news.
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log.connection.close": False, "log_level": 2})
