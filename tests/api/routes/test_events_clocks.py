"""POST /v1/events from senders whose clocks are an hour off (fault F16)."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from resources.settings import Settings
from resources.settings.api import FutureEvents

OnTheLog = Callable[[str], tuple[list[Any], list[Any]]]

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)


def event(occurred_at: dt.datetime) -> dict[str, Any]:
    fields = {"event_name": "page_viewed", "source_service": "phone", "payload": {}}
    return fields | {"occurred_at": occurred_at.isoformat()}


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def seconds_apart(stored: dict[str, Any]) -> float:
    """From occurrence to receipt, by what stands on the log."""
    occurred, received = (dt.datetime.fromisoformat(stored[name]) for name in ("occurred_at", "received_at"))
    return (received - occurred).total_seconds()


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_a_clock_an_hour_off_is_allowed_for_where_the_sender_tells_its_time(
    api: httpx.AsyncClient, on_the_log: OnTheLog, off: dt.timedelta
) -> None:
    phone = now() + off
    batch = [event(phone - 10 * SECOND), event(phone - 30 * SECOND)]
    response = await api.post("/v1/events", json=batch, headers={"x-sent-at": phone.isoformat()})
    assert response.status_code == 202
    assert response.json()["data"]["moved_by_s"] == pytest.approx(-off.total_seconds(), abs=5)
    events, _ = on_the_log(response.headers["x-request-id"])
    assert sorted(seconds_apart(stored) for stored in events) == pytest.approx([10, 30], abs=5)
    assert abs(dt.datetime.fromisoformat(events[0]["received_at"]) - now()) < 30 * SECOND


@pytest.mark.parametrize("off", [HOUR - 10 * SECOND, -HOUR])
async def test_without_its_time_the_senders_claim_stands_beside_the_servers(
    api: httpx.AsyncClient, on_the_log: OnTheLog, off: dt.timedelta
) -> None:
    response = await api.post("/v1/events", json=event(now() + off))
    assert response.json()["data"]["moved_by_s"] is None
    events, _ = on_the_log(response.headers["x-request-id"])
    assert seconds_apart(events[0]) == pytest.approx(-off.total_seconds(), abs=5)


async def test_an_event_from_further_in_the_future_is_recorded_as_it_was_sent(
    api: httpx.AsyncClient, on_the_log: OnTheLog
) -> None:
    claimed = now() + 2 * HOUR
    response = await api.post("/v1/events", json=[event(claimed), event(now())])
    assert response.status_code == 207
    assert "in the future" in response.json()["data"]["refusals"][0]["reason"]
    _, rejections = on_the_log(response.headers["x-request-id"])
    assert claimed.isoformat() in rejections[0]["body"]


async def test_or_clamped_where_the_setting_says_so(serve: Any, settings: Settings, on_the_log: OnTheLog) -> None:
    changed = settings.model_copy(update={"api": settings.api.model_copy(update={"future_events": FutureEvents.CLAMP})})
    async with serve(changed) as api:
        response = await api.post("/v1/events", json=event(now() + 2 * HOUR))
    assert response.json()["data"]["clamped"] == 1
    events, _ = on_the_log(response.headers["x-request-id"])
    assert events[0]["occurred_at"] == events[0]["received_at"]


@pytest.mark.parametrize("sent_at", ["", "now", "2026-01-15T09:30:00", "1768469400", "caf\xe9"])
async def test_a_malformed_time_of_sending_is_refused(api: httpx.AsyncClient, sent_at: str) -> None:
    headers = [(b"x-sent-at", sent_at.encode("latin-1")), (b"content-type", b"application/json")]
    response = await api.post("/v1/events", content=b"{}", headers=headers)
    assert (response.status_code, response.json()["type"]) == (400, "urn:analytics:problem:bad-header")
