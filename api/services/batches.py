"""Takes a request's body apart into the raw bytes of its events, without decoding them."""

import msgspec

JSON = "application/json"
NDJSON = "application/x-ndjson"
MEDIA_TYPES = (JSON, NDJSON)

_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class MalformedBatch(ValueError):
    """The body cannot be taken apart; `str()` says why. It counts as one refused event."""


class TooManyEvents(ValueError):
    """The body holds more events than a request may."""


def split_body(media_type: str, body: bytes, *, max_events: int) -> list[bytes]:
    """The events of a body in their order; none for an empty body or array.

    JSON is one event or an array of events; NDJSON is one event a line, blank lines aside.

    Raises:
        MalformedBatch: an array that is not well formed.
        TooManyEvents: more than `max_events`.
    """
    if media_type == NDJSON:
        events = [line for line in body.split(b"\n") if line and not line.isspace()]
    else:
        start = body.lstrip(b" \t\r\n")[:1]
        whole = [body] if start else []
        events = _items(body) if start == b"[" else whole
    if len(events) > max_events:
        raise TooManyEvents(f"A request may carry at most {max_events:,} events; this one has {len(events):,}.")
    return events


def _items(body: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _array_decoder.decode(body)]
    except RecursionError:
        raise MalformedBatch("The JSON nests too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBatch(str(error)) from None
