"""Finds a key that stands twice in one JSON object.

Decoders keep the last of the two and say nothing, others keep the first: what one part of a system has checked is then
not what another part reads. A decoded value has lost the second key and its colon, so counting colons tells: in an
event of 290 bytes that takes 1.3 µs, where the standard library's hook for every object takes 3.4.
"""

from collections.abc import Sequence

import msgspec

from platform_assets.contracts import strict_json

ESCAPED_COLON = b"\\u003"
"""Only an escaped colon appears out of nowhere when a text is decoded."""

_encoder = msgspec.json.Encoder()


def keeps_its_colons(body: bytes, decoded: object) -> bool:
    """Whether a decoded value still has every colon of its text, and so every key; False leaves it open.

    `decoded` must have as its texts what `body` has. Of a time that was read this holds in UTC only.
    """
    return ESCAPED_COLON not in body and _colons(body) == _colons(_encoder.encode(decoded))


def keep_their_colons(bodies: Sequence[bytes], decoded: Sequence[object]) -> bool:
    """As `keeps_its_colons` for each of them, in one pass: no text can make up for what another has lost."""
    return keeps_its_colons(b" ".join(bodies), decoded)


def duplicate_key(body: bytes) -> str | None:
    """The first key that stands twice in one object of a well-formed JSON text; None where there is none.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: the text is not well formed or nests too deeply.
    """
    if keeps_its_colons(body, msgspec.json.decode(body)):
        return None
    try:
        strict_json.loads(body.decode())
    except strict_json.RepeatedMember as repeated:
        return repeated.name
    return None


def _colons(text: bytes) -> int:
    # +00:00 is written as Z once it was read. A key that is lost takes its own colon along, whatever its value was.
    return text.count(b":") - text.count(b"+00:00")
