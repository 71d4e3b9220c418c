"""Compressed bodies are unpacked up to the limit and no further, and damage is told from size."""

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from api.services.decompression import DamagedBody, Encoding, TooLarge, decompress

LIMIT = 1_000_000
ZEROS = 500_000_000


def zstd_stream(data: bytes) -> bytes:
    """A frame that does not say how much is in it."""
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(data) + compressor.flush()


Pack = Callable[[bytes], bytes]
PACKERS: dict[Encoding, list[Pack]] = {
    Encoding.GZIP: [gzip.compress],
    Encoding.ZSTD: [zstandard.ZstdCompressor().compress, zstd_stream],
}
EACH = [(encoding, packer) for encoding, packers in PACKERS.items() for packer in packers]


@pytest.mark.parametrize(("encoding", "pack"), EACH)
@given(data=st.binary(max_size=3000))
def test_what_was_packed_comes_out_again(encoding: Encoding, pack: Pack, data: bytes) -> None:
    assert decompress(encoding, pack(data), max_bytes=3000) == data


@pytest.mark.parametrize(("encoding", "pack"), EACH)
def test_concatenated_parts_are_one_body_with_one_limit(encoding: Encoding, pack: Pack) -> None:
    parts = [b"a" * 400, b"", b"b" * 600]
    body = b"".join(pack(part) for part in parts)
    assert decompress(encoding, body, max_bytes=1000) == b"".join(parts)
    with pytest.raises(TooLarge):
        decompress(encoding, body, max_bytes=999)


@pytest.mark.parametrize(("encoding", "pack"), EACH)
def test_the_limit_itself_is_taken_and_one_byte_more_is_not(encoding: Encoding, pack: Pack) -> None:
    assert len(decompress(encoding, pack(b"x" * LIMIT), max_bytes=LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        decompress(encoding, pack(b"x" * (LIMIT + 1)), max_bytes=LIMIT)


def _gzip_bomb() -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = bytes(10_000_000)
    return b"".join(compressor.compress(chunk) for _ in range(ZEROS // len(chunk))) + compressor.flush()


def _zstd_bomb() -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    chunk = bytes(10_000_000)
    return b"".join(compressor.compress(chunk) for _ in range(ZEROS // len(chunk))) + compressor.flush()


@pytest.mark.parametrize(("encoding", "bomb"), [(Encoding.GZIP, _gzip_bomb), (Encoding.ZSTD, _zstd_bomb)])
def test_a_bomb_is_refused_without_unpacking_the_rest(encoding: Encoding, bomb: Callable[[], bytes]) -> None:
    """Half a gigabyte of zeros; what is unpacked stays near the limit."""
    body = bomb()
    assert len(body) < LIMIT
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decompress(encoding, body, max_bytes=LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LIMIT


def test_a_bomb_behind_a_small_part_is_refused() -> None:
    with pytest.raises(TooLarge):
        decompress(Encoding.GZIP, gzip.compress(b"{}") + _gzip_bomb(), max_bytes=LIMIT)


def test_a_zstd_frame_that_asks_for_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = compressor.compress(b"{}") + compressor.flush()
    with pytest.raises(DamagedBody, match="too much memory"):
        decompress(Encoding.ZSTD, body, max_bytes=LIMIT)


@pytest.mark.parametrize(("encoding", "pack"), EACH)
def test_damage_is_told(encoding: Encoding, pack: Pack) -> None:
    body = pack(bytes(range(256)) * 20)
    for damaged in (body[:-1], body[: len(body) // 2], body + b"junk", b"junk" + body, b"{}"):
        with pytest.raises(DamagedBody):
            decompress(encoding, damaged, max_bytes=LIMIT)


@pytest.mark.parametrize("encoding", [Encoding.GZIP, Encoding.ZSTD])
@given(body=st.binary(max_size=200))
def test_any_bytes_are_unpacked_or_refused(encoding: Encoding, body: bytes) -> None:
    with contextlib.suppress(DamagedBody, TooLarge):
        assert len(decompress(encoding, body, max_bytes=1000)) <= 1000
