"""The headers of requests with events: what they say, and how they are documented."""

import datetime as dt
import re
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Request

from api.problems import ProblemError
from api.services.decompression import Encoding
from platform_assets.contracts.events import AwareDatetime

# The draft's form is a quoted string; most clients send it bare. \Z, not $: a line break would be an injection.
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,128})"?\Z')
_time_decoder = msgspec.json.Decoder(AwareDatetime)

HEADER_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": '^"?[!#-~]{1,128}"?$'},
        "description": "Names the request, so that it can be sent again: events without an id get ids that follow from "
        "the caller, this key and their place. A repeat is answered as the first one was, with Idempotent-Replayed.",
        "example": "3f6b1c9e-6d0c-4b0e-9a53-0c3c5d1d7a10",
    },
    {
        "name": "X-Sent-At",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "format": "date-time"},
        "description": "The time of sending by the sender's own clock. Where it is over a minute off the server's, "
        "every occurred_at is moved by the difference.",
        "example": "2026-01-15T09:30:02Z",
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
        "description": "How the body is packed; its limits hold for the unpacked body.",
        "example": "gzip",
    },
]


def media_type_of(request: Request, media_types: Collection[str]) -> str:
    """What the body is. Raises ProblemError 415."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in media_types:
        return media_type
    detail = f"Send events with Content-Type {' or '.join(media_types)}, not {media_type or 'none'}."
    raise _unsupported(detail, {"Accept-Post": ", ".join(media_types)})


def encoding_of(request: Request) -> Encoding:
    """How the body is packed. Raises ProblemError 415."""
    named = ",".join(request.headers.getlist("content-encoding")).strip().lower()
    try:
        return Encoding(named or Encoding.IDENTITY)
    except ValueError:
        detail = "Send the body with Content-Encoding gzip or zstd, one of them and once, or without."
        raise _unsupported(detail, {"Accept-Encoding": "gzip, zstd"}) from None


def _unsupported(detail: str, headers: dict[str, str]) -> ProblemError:
    return closing(ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers=headers))


def idempotency_key_of(request: Request) -> str | None:
    """The request's name, or None. Raises ProblemError 400."""
    sent = request.headers.getlist("idempotency-key")
    if not sent:
        return None
    found = _KEY.match(sent[0])
    if found is None or len(sent) > 1:
        raise _bad_header("Idempotency-Key takes one key of 1 to 128 visible ASCII characters, a UUID say.")
    return found[1]


def sent_at_of(request: Request) -> dt.datetime | None:
    """The time of sending by the sender's clock, or None. Raises ProblemError 400."""
    sent = request.headers.get("x-sent-at")
    if sent is None:
        return None
    try:
        return _time_decoder.decode(msgspec.json.encode(sent))
    except msgspec.DecodeError:
        raise _bad_header("X-Sent-At takes an RFC 3339 time with an offset, as 2026-01-15T09:30:00Z.") from None


def _bad_header(detail: str) -> ProblemError:
    return closing(ProblemError(HTTPStatus.BAD_REQUEST, "bad-header", detail))


def closing(problem: ProblemError) -> ProblemError:
    """The problem for a request whose body is unread: to keep the connection the server would have to read it."""
    problem.headers = {**(problem.headers or {}), "Connection": "close"}
    return problem
