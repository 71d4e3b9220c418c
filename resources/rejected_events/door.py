"""Sends mended events through the front door, as any client would.

Not straight to the log: so the door's gate, limits, schemas and counting hold for a replay too, and what it still finds
wrong becomes a rejection with its reason instead of a poison record.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from resources.settings import Settings

GIVE_UP_S = 120.0
_ANSWERED = (httpx.codes.ACCEPTED, httpx.codes.MULTI_STATUS, httpx.codes.UNPROCESSABLE_ENTITY)
_LATER = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


class DoorRefused(RuntimeError):
    """The door does not take events from us or does not answer; the message says why and what to do."""


@dataclass(frozen=True)
class Refusal:
    """An event that the door refused, by its place among those that were sent."""

    index: int
    reason: str


class FrontDoor:
    """POST /v1/events in requests that fit its limits. Waits out a pause or a limit, for two minutes by default."""

    def __init__(
        self, settings: Settings, *, give_up_s: float = GIVE_UP_S, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._max_events = settings.api.max_batch_events
        self._max_bytes = settings.api.max_body_bytes
        self._give_up_s = give_up_s
        self._wait = wait
        key = settings.replay.key
        self._client = httpx.Client(
            base_url=settings.replay.url or f"http://{settings.api.host}:{settings.api.port}",
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=30.0,
        )

    def send(self, bodies: Sequence[bytes]) -> list[Refusal]:
        """Send events; returns when the log has acknowledged each of them or the door has refused it.

        Raises:
            DoorRefused: some may have been taken; sending all of them again makes no second event.
        """
        refusals: list[Refusal] = []
        for first, request in self._requests(bodies):
            found = self._post(b"\n".join(request))
            refusals += [Refusal(first + item["index"], str(item["reason"])) for item in found]
        return refusals

    def __enter__(self) -> "FrontDoor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def _requests(self, bodies: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
        first, size = 0, 0
        for index, body in enumerate(bodies):
            if index > first and (index - first == self._max_events or size + len(body) + 1 > self._max_bytes):
                yield first, list(bodies[first:index])
                first, size = index, 0
            size += len(body) + 1
        if first < len(bodies):
            yield first, list(bodies[first:])

    def _post(self, body: bytes) -> list[dict[str, Any]]:
        give_up = time.monotonic() + self._give_up_s
        while True:
            try:
                answer = self._client.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
            except httpx.TransportError as error:
                last, wait_s = f"{self._client.base_url} does not answer ({type(error).__name__}: {error})", 0.5
            else:
                if answer.status_code in _ANSWERED:
                    document = answer.json()
                    found: list[dict[str, Any]] = document.get("data", document)["refusals"]
                    return found
                last = f"the API answered {answer.status_code}: {_detail(answer)}"
                if answer.status_code not in _LATER:
                    raise DoorRefused(f"{last[0].upper()}{last[1:]}. {_remedy(answer.status_code)}")
                wait_s = float(answer.headers.get("Retry-After", "1"))
            if time.monotonic() + wait_s > give_up:
                raise DoorRefused(f"No success for {self._give_up_s:.0f} s: {last}. Start the platform or try later.")
            self._wait(wait_s)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


def _remedy(status: int) -> str:
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return "Set ANALYTICS_REPLAY__KEY to a key that may write events."
    return "Nothing more was sent; what was sent before is not sent twice when you repeat the replay."
