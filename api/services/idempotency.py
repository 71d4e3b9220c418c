"""Remembers for a while what requests with an Idempotency-Key were answered, in bounded memory.

It saves a repeat from being taken twice and gives it the first answer. Nothing depends on it: where it has forgotten,
or in another process, a repeat is taken again under the same event ids (see `event_ids`), and later stages keep one
record of each id.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_ANSWERS = 20_000
MAX_BYTES = 16 * 2**20
MAX_AGE_S = 3600.0
# What an answer takes beside its body: keys, digest and the objects around them.
_OVERHEAD_BYTES = 600


class KeyInFlight(RuntimeError):
    """The first request with this key is not answered yet."""


class KeyReused(RuntimeError):
    """The key came with another request before."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    body: bytes
    media_type: str


@dataclass(frozen=True)
class _Kept:
    digest: bytes
    answer: Answer
    since: float


class Claim:
    """The right to answer a key for the first time; ends with the block, and `keep` says what the answer is."""

    def __init__(self, end: Callable[[Answer | None], None]) -> None:
        self._end = end
        self._answer: Answer | None = None

    def keep(self, answer: Answer) -> None:
        """Repeats get this answer. Without it the next one with the key is a first one."""
        self._answer = answer

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._answer)


class Answers:
    """The answers of one process, by caller and key; the oldest go first. For one event loop."""

    def __init__(
        self,
        *,
        max_answers: int = MAX_ANSWERS,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._bytes = 0
        # As many as there are requests under way, which the ingestion bounds.
        self._in_flight: dict[tuple[str, str], bytes] = {}

    def claim(self, caller: str, key: str, digest: bytes) -> Answer | Claim:
        """The answer that this request got before, or the claim to answer it; `digest` is that of the request.

        Raises:
            KeyReused: another request had this key.
            KeyInFlight: the same request is being answered.
        """
        name = (caller, key)
        self._forget()
        kept = self._kept.get(name)
        known = kept.digest if kept is not None else self._in_flight.get(name)
        if known is not None and known != digest:
            raise KeyReused(key)
        if kept is not None:
            return kept.answer
        if known is not None:
            raise KeyInFlight(key)
        self._in_flight[name] = digest
        return Claim(lambda answer: self._end(name, digest, answer))

    def _end(self, name: tuple[str, str], digest: bytes, answer: Answer | None) -> None:
        del self._in_flight[name]
        if answer is not None:
            self._kept[name] = _Kept(digest, answer, self._clock())
            self._bytes += _size(answer)
            self._forget()

    def _forget(self) -> None:
        oldest_since = self._clock() - self._max_age_s
        while self._kept:
            name, oldest = next(iter(self._kept.items()))
            is_over = len(self._kept) > self._max_answers or self._bytes > self._max_bytes
            if not is_over and oldest.since >= oldest_since:
                return
            del self._kept[name]
            self._bytes -= _size(oldest.answer)


def _size(answer: Answer) -> int:
    return len(answer.body) + _OVERHEAD_BYTES
