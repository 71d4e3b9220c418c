"""The application with its lifespan, without a network; and what it wrote to the log."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from confluent_kafka import Consumer, KafkaError, TopicPartition

from api.main import create_app
from platform_assets.contracts.topics import EVENTS, REJECTED, Topic
from resources.event_log.topics import ensure_topics
from resources.settings import ApiSettings, KafkaSettings, LimitsSettings, Settings

# Tests ask from one address, hundreds of times a minute.
UNLIMITED = LimitsSettings(requests_per_minute=10**6)

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def broker(embedded_broker: str) -> str:
    """The embedded broker with the topics made."""
    ensure_topics(embedded_broker)
    return embedded_broker


@pytest.fixture(scope="module")
def settings(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Local settings on a data folder of the test module's own."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        kafka=KafkaSettings(bootstrap_servers=broker),
        api=ApiSettings(max_batch_events=50, max_body_bytes=200_000, acknowledgement_timeout_s=5),
        limits=UNLIMITED,
    )


@pytest.fixture
def unreachable(tmp_path: Path) -> Settings:
    """Settings that point at a port where nothing listens."""
    return Settings(
        data_dir=tmp_path,
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        api=ApiSettings(acknowledgement_timeout_s=0.3),
        limits=UNLIMITED,
    )


@asynccontextmanager
async def serving(
    settings: Settings, *, client: tuple[str, int] = ("127.0.0.1", 50000)
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with these settings; `client` is where its requests seem to come from."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app, client=client)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield http


@pytest.fixture
def serve() -> Serve:
    """`serving` as a fixture."""
    return serving


# A new producer's first record waits a second for its producer id, so a module shares one application.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application on the embedded broker."""
    async with serving(settings) as http:
        yield http


@pytest.fixture(scope="module")
def on_the_log(broker: str) -> Callable[[str], tuple[list[Any], list[Any]]]:
    """What a request has put on the log, by its id: the events and the rejections."""

    def read(request_id: str) -> tuple[list[Any], list[Any]]:
        events, rejections = (
            [record for record in read_topic(broker, topic) if record["correlation_id"] == request_id]
            for topic in (EVENTS, REJECTED)
        )
        return events, rejections

    return read


def read_topic(address: str, topic: Topic) -> list[Any]:
    """Every record of a topic, decoded."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "tests", "enable.partition.eof": True, "fetch.wait.max.ms": 20}
    )
    try:
        consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
        records, ended = [], 0
        while ended < topic.partitions:
            message = consumer.poll(10)
            assert message is not None, f"{topic.name} gave neither a record nor its end"
            error = message.error()
            if error is None:
                records.append(msgspec.json.decode(message.value() or b""))
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended += 1
        return records
    finally:
        consumer.close()
