"""The same door as most would write it: FastAPI, a pydantic model, one produce with a callback per event.

`python -m deployments.load.plain_fastapi PORT BOOTSTRAP`. It has no authentication, limits or rejections.
"""

import asyncio
import datetime as dt
import sys
import uuid
from typing import Any

import uvicorn
from confluent_kafka import KafkaError, Message, Producer
from fastapi import FastAPI
from pydantic import BaseModel, Field

from platform_assets.contracts.topics import EVENTS


class NewEvent(BaseModel):
    """An event as it is sent."""

    event_name: str = Field(min_length=1, max_length=128)
    payload: dict[str, Any]
    source_service: str
    event_type: str = "custom"
    event_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    user_id: str | None = None
    session_id: str | None = None
    occurred_at: dt.datetime | None = None
    schema_version: int = 1


class StoredEvent(NewEvent):
    """An event as it stands on the log."""

    received_at: dt.datetime
    correlation_id: str | None = None
    traceparent: str | None = None


def create_app(bootstrap: str) -> FastAPI:
    """The application."""
    app = FastAPI()
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"}
    )

    async def poll() -> None:
        while True:
            producer.poll(0)
            await asyncio.sleep(0.002)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/v1/events", status_code=202)
    async def post_events(events: list[NewEvent]) -> dict[str, int]:
        app.state.polling = getattr(app.state, "polling", None) or asyncio.create_task(poll())
        now = dt.datetime.now(dt.UTC)
        stored = [
            StoredEvent(**{**event.model_dump(), "occurred_at": event.occurred_at or now}, received_at=now)
            for event in events
        ]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = len(stored)

        def delivered(error: KafkaError | None, message: Message) -> None:
            nonlocal waiting
            waiting -= 1
            if error is not None and not done.done():
                done.set_exception(RuntimeError(str(error)))
            elif not waiting and not done.done():
                done.set_result(None)

        for event in stored:
            producer.produce(
                EVENTS.name, event.model_dump_json().encode(), (event.user_id or event.event_id).encode(),
                on_delivery=delivered,
            )  # fmt: skip
        await done
        return {"accepted": len(stored)}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
