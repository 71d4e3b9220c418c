"""Planted secrets are taken out of whatever is logged (security.md 41, 42)."""

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from resources.telemetry import configure_logging
from resources.telemetry.redaction import Redactor

PLANTED = "kV8tQx2mR5zLw9Pn"
KNOWN = "correct horse battery staple"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyLTEifQ." + PLANTED
WRITE_KEY = "wk_" + PLANTED + "A" * 27
API_KEY = "ak_" + PLANTED + "A" * 27


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the root logger writes, with one secret of the settings."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging("tests", stream=stream, secrets=[KNOWN, f"postgresql://app:{PLANTED}@db/x"])
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {PLANTED}",
        f"authorization=Basic {PLANTED}==",
        f"failed with 'Bearer {PLANTED}'",
        f"GET /v1/events?api_key={PLANTED}&x=1",
        f"GET /x?access_token={PLANTED}",
        f'{{"username": "ada", "password": "{PLANTED}"}}',
        json.dumps({"body": json.dumps({"password": PLANTED})}),
        f"{{'client_secret': '{PLANTED}'}}",
        f"[(b'host', b'localhost'), (b'authorization', b'{PLANTED}'), (b'x-api-key', b'{PLANTED}')]",
        f"Cookie: session={PLANTED}",
        f"Set-Cookie: {PLANTED}; HttpOnly",
        f"AWS_SECRET_ACCESS_KEY={PLANTED}",
        f"could not connect to postgresql://app:{PLANTED}@db:5432/analytics",
        f"redis://:{PLANTED}@cache refused",
        f"token {JWT} has expired",
        f"no such key {WRITE_KEY}",
        f"refused: {API_KEY}",
        f"password={PLANTED}",
        f"password = '{PLANTED}' (line 3)",
        f"X-API-Key:{PLANTED}",
    ],
)
def test_what_looks_like_a_secret_is_masked_in_any_text(text: str) -> None:
    redactor = Redactor()
    masked = redactor.redact_text(text)
    assert PLANTED not in masked
    assert "***" in masked
    assert redactor.is_suspicious(json.dumps(text)), "the cheap look would have let it through"


@pytest.mark.parametrize(
    "text",
    [
        "At most 100 requests a minute",
        "Kafka at 127.0.0.1:9092 does not answer",
        "https://docs.example/page?x=1",
        "user-42@shop.example",
        "The credential in authorization is not valid",
        "postgresql://db:5432/analytics",
        "partition key is user_id",
    ],
)
def test_innocent_text_stays_as_it_is(text: str) -> None:
    assert Redactor().redact_text(text) == text


def test_a_secret_of_the_settings_is_masked_wherever_it_stands() -> None:
    redactor = Redactor([KNOWN, "short", f"https://app:{PLANTED}%2F@host/x", "redis://cache"])
    assert redactor.redact_text(f"a {KNOWN} b short {PLANTED}/ redis://cache") == "a *** b short *** redis://cache"


def test_no_planted_secret_reaches_the_log_by_any_way(stream: io.StringIO) -> None:
    """Messages, arguments, extras of every type, exceptions and their causes, reprs, warnings."""
    logger = logging.getLogger("planted")
    logger.info("Log in with password=%s", PLANTED)
    logger.info("Header", extra={"authorization": f"Bearer {PLANTED}", "x_api_key": PLANTED.encode()})
    logger.info("Nested", extra={"request": {"headers": [(b"authorization", PLANTED.encode())], "cookies": PLANTED}})
    logger.info("Nested", extra={"body": {"user": "ada", "Password": PLANTED, "deep": [{"refresh_token": PLANTED}]}})
    logger.info("Query", extra={"query": f"write_key={PLANTED}".encode()})
    logger.info("Settings", extra={"value": SecretStr(PLANTED), "url": f"postgresql://app:{PLANTED}@db/x"})
    logger.info("Known", extra={"value": [f"it was {KNOWN}"]})
    logger.info("Known %s", KNOWN)
    try:
        try:
            raise ConnectionError(f"postgresql://app:{PLANTED}@db/x: password authentication failed")
        except ConnectionError as error:
            raise RuntimeError(f"token {JWT}") from error
    except RuntimeError:
        logger.exception("It failed")
    logging.captureWarnings(True)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"api_key={PLANTED} is deprecated", stacklevel=1)
    written = stream.getvalue()
    assert written.count("\n") == 10
    assert PLANTED not in written
    assert KNOWN not in written
    for line in written.splitlines():
        json.loads(line)


@pytest.mark.parametrize("break_", ["\r", "\n", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1b[2K", "\0"])
def test_a_line_break_in_a_logged_value_forges_no_line(stream: io.StringIO, break_: str) -> None:
    forged = f'x{break_}{{"level": "error", "message": "forged", "password": "{PLANTED}"}}'
    logging.getLogger(forged).info("Value %s", forged, extra={"client": forged, "nested": {forged: [forged]}})
    assert len(stream.getvalue().splitlines()) == 1
    line: dict[str, Any] = json.loads(stream.getvalue())
    assert (line["level"], line["client"][0]) == ("info", "x")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    "part", ["password", "token=", "a://a:", "eyJ-", "secret ' ", "'token',", "bearer ", "key", "token='\n", "ak_"]
)
def test_a_text_made_to_be_slow_is_not(part: str) -> None:
    """64 kB is the largest address that the server takes."""
    text = part * (65_536 // len(part))
    started = time.perf_counter()
    Redactor().redact_text(text)
    assert time.perf_counter() - started < 2


def test_an_innocent_line_costs_little() -> None:
    """One line a request, 1,300 requests a second."""
    redactor = Redactor([KNOWN])
    line = json.dumps({"message": "Request", "path": "/v1/events", "client": "192.0.2.7", "request_id": "a" * 32})
    started = time.perf_counter()
    for _ in range(1000):
        redactor.is_suspicious(line)
    assert (time.perf_counter() - started) / 1000 < 30e-6
