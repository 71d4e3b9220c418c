"""Windows merged over the partitions of random logs, against the oracle's windows of all partitions together.

Sources publish at any moment, crash, come back from a checkpoint and publish again what they did before, cut in another
way; their news reach the merging side in any order but their own.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from platform_assets.contracts.windows import WindowDefinition, WindowType
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.engine import PartitionWindows
from platform_assets.windows.merging import MergedWindows, Part
from platform_assets.windows.open_windows import Rows
from tests.platform_assets.windows.oracle import Record, Window, expected_windows, watermarks_before
from tests.platform_assets.windows.random_streams import Stream, random_cuts, random_stream
from tests.platform_assets.windows.test_streams_against_oracle import Saved, assert_holds

STREAMS_EACH = 60
CHUNKS = 5
AFTER_ALL_MS = 10**15

Span = tuple[str | None, int, int]
"""Key, start and end of a window of one definition."""


@dataclass(frozen=True)
class News:
    """What a source published: its parts, its watermark, and the offset below which it is complete."""

    source: int
    next_offset: int
    watermark_ms: int
    parts: tuple[Part, ...]


@dataclass
class Merged:
    """What the merging side told its readers of one definition."""

    final: dict[Span, tuple[Any, ...]] = field(default_factory=dict)
    open: dict[Span, tuple[Any, ...]] = field(default_factory=dict)
    seen_changing: dict[Span, tuple[Any, ...]] = field(default_factory=dict)

    def keep(self, changed: Rows, closed: Rows) -> None:
        for span, row in _by_span(changed):
            self._replace(span, row if row[0] else None)
        for span, row in _by_span(closed):
            assert span not in self.final, f"{span} has a second final result"
            self.final[span] = row
            self._replace(span, None)

    def _replace(self, span: Span, row: tuple[Any, ...] | None) -> None:
        self.seen_changing = {other: kept for other, kept in self.seen_changing.items() if other[:2] != span[:2]}
        if row is not None:
            self.seen_changing[span] = row


def published(rng: random.Random, source: int, records: Sequence[Record], definition: WindowDefinition) -> list[News]:
    """Everything that a source publishes of a partition; once it may fall back to an earlier checkpoint."""
    names = Accumulators(definition.aggregates).part_names
    engine, saved = _source(definition), Saved()
    news: list[News] = []
    begin, has_crashed = 0, False
    checkpoint = (0, _source(definition))
    while begin < len(records):
        for batch in random_cuts(rng, records[begin:]):
            engine.process(batch)
            begin += len(batch.records)
            if begin < len(records) and rng.random() < 0.4:
                continue
            results = engine.collect()
            told = ((True, results.closed.get(definition.name)), (False, results.changed.get(definition.name)))
            parts = [
                Part(key, start, end, begin, {"events": events} | dict(zip(names, state, strict=True)), is_final)
                for is_final, rows in told
                for key, start, end, events, *state in (rows.as_tuples() if rows is not None else ())
            ]
            news.append(News(source, begin, engine.watermark.value_ms, tuple(parts)))
            if rng.random() < 0.3:
                checkpoint = (begin, saved.restore(engine, [definition], parts_of=frozenset({definition.name})))
        if not has_crashed and rng.random() < 0.5:
            has_crashed = True
            begin, engine = checkpoint
            saved = Saved()
    return news


def merge(rng: random.Random, definition: WindowDefinition, news: Sequence[Sequence[News]]) -> Merged:
    """Give the news of all sources to the merging side, which is restored once in a while."""
    merged, told = MergedWindows(definition, len(news)), Merged()
    left = [list(of_source) for of_source in news]
    while any(left):
        one = rng.choice([of_source for of_source in left if of_source]).pop(0)
        assert not merged.take(one.source, one.parts)
        merged.advance(one.source, one.next_offset, one.watermark_ms, is_idle=False)
        if rng.random() < 0.5:
            told.keep(*merged.collect())
        if rng.random() < 0.1:
            fresh = MergedWindows(definition, len(news))
            fresh.restore(merged.snapshot())
            merged = fresh
    told.keep(*merged.collect())
    for source in range(len(news)):
        merged.advance(source, AFTER_ALL_MS, AFTER_ALL_MS, is_idle=False)
    told.open = dict(_by_span(merged.collect()[1]))
    return told


def expected(stream: Stream, definition: WindowDefinition) -> tuple[dict[Span, Window], dict[Span, Window]]:
    """The final and the open windows: those of every partition, put together by key and start."""
    windows: dict[Span, Window] = {}
    watermarks = []
    for records in stream.partitions:
        found = expected_windows(records, [definition])
        watermarks.append(found.watermark_ms)
        for (_, key, start, end), window in [*found.final.items(), *found.open.items()]:
            windows.setdefault((key, start, end), Window(start, end)).events.extend(window.events)
    reached = min(watermark for watermark in watermarks if watermark is not None) - definition.lateness_ms
    final = {span: window for span, window in windows.items() if window.end_ms <= reached}
    return final, {span: window for span, window in windows.items() if span not in final}


def _source(definition: WindowDefinition) -> PartitionWindows:
    return PartitionWindows([definition], parts_of=frozenset({definition.name}), keeps_unsaved_ids=True)


def _by_span(rows: Rows) -> Iterable[tuple[Span, tuple[Any, ...]]]:
    for key, start, end, *row in rows.as_tuples():
        yield (key, start, end), tuple(row)


@pytest.mark.parametrize("window_type", [WindowType.TUMBLING, WindowType.SLIDING])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_merged_windows_of_random_streams_equal_the_oracle(window_type: WindowType, chunk: int) -> None:
    """In whatever order the sources' news come, to the last bit of a sum."""
    for number in range(STREAMS_EACH):
        seed = f"merged/{window_type}/{chunk}/{number}"
        rng = random.Random(seed)  # noqa: S311
        stream = random_stream(rng, window_type)
        for definition in stream.definitions:
            final, still_open = expected(stream, definition)
            try:
                one, other = (
                    merge(
                        rng,
                        definition,
                        [published(rng, *source, definition) for source in enumerate(stream.partitions)],
                    )
                    for _ in range(2)
                )
                assert one == other
                assert one.seen_changing == one.open
                for found, wanted in ((one.final, final), (one.open, still_open)):
                    assert found.keys() == wanted.keys()
                    for span, window in wanted.items():
                        assert_holds(found[span], window, definition)
            except AssertionError as error:
                error.add_note(f"Stream {seed}, window {definition.name}.")
                raise


def joined(stream: Stream, definition: WindowDefinition) -> tuple[dict[Span, Window], dict[Span, Window]]:
    """The final and the open sessions: those of every partition, as far as they overlap put together."""
    found: list[tuple[str | None, Window]] = []
    watermarks = []
    for records in stream.partitions:
        of_source = expected_windows(records, [definition])
        watermarks.append(of_source.watermark_ms)
        found += [(key, window) for (_, key, _, _), window in [*of_source.final.items(), *of_source.open.items()]]
    sessions: list[tuple[str | None, Window]] = []
    for key, window in sorted(found, key=lambda item: (item[0] is not None, item[0] or "", item[1].start_ms)):
        if sessions and sessions[-1][0] == key and window.start_ms < sessions[-1][1].end_ms:
            into = sessions[-1][1]
            into.end_ms = max(into.end_ms, window.end_ms)
            into.events.extend(window.events)
        else:
            sessions.append((key, Window(window.start_ms, window.end_ms, list(window.events))))
    limit = min(watermark for watermark in watermarks if watermark is not None)
    limit -= definition.lateness_ms + definition.size_ms
    spans = {(key, window.start_ms, window.end_ms): window for key, window in sessions}
    final = {span: window for span, window in spans.items() if window.end_ms <= limit}
    return final, {span: window for span, window in spans.items() if span not in final}


def reaches_far_back(records: Sequence[Record], definition: WindowDefinition) -> bool:
    """Whether some event is older than the gap: it joins a session, if any, that others believe to be over."""
    return any(
        watermark is not None and record.occurred_ms + definition.size_ms + definition.lateness_ms <= watermark
        for record, watermark in zip(records, watermarks_before(records), strict=False)
    )


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_merged_sessions_are_the_joined_sessions_of_the_sources(chunk: int) -> None:
    """In whatever order the sources' news come; an event from further back than the gap only counts once."""
    compared = 0
    for number in range(STREAMS_EACH):
        seed = f"merged/session/{chunk}/{number}"
        rng = random.Random(seed)  # noqa: S311
        stream = random_stream(rng, WindowType.SESSION)
        for definition in stream.definitions:
            final, still_open = joined(stream, definition)
            news = [published(rng, *source, definition) for source in enumerate(stream.partitions)]
            told = merge(rng, definition, news)
            counted = sum(row[0] for row in [*told.final.values(), *told.open.values()])
            assert counted == sum(len(window.events) for window in [*final.values(), *still_open.values()]), seed
            if any(reaches_far_back(records, definition) for records in stream.partitions):
                continue
            compared += 1
            for found, wanted in ((told.final, final), (told.open, still_open)):
                assert found.keys() == wanted.keys(), seed
                for span, window in wanted.items():
                    assert_holds(found[span], window, definition)
    assert compared >= 4


def test_session_that_was_swallowed_does_not_come_back_with_news_from_before() -> None:
    """A source publishes 105, then [100, 115) that swallowed it, and both again after a crash."""
    definition = WindowDefinition(name="calm", key_field="user_id", window_type=WindowType.SESSION, size_ms=10)
    merged, told = MergedWindows(definition, 1), Merged()
    before = News(0, 2, 105, (Part("u", 105, 115, 2, {"events": 1}),))
    after = News(0, 3, 105, (Part("u", 105, 115, 3, {"events": 0}), Part("u", 100, 115, 3, {"events": 2})))
    for one in (before, after, before):
        merged.take(one.source, one.parts)
        merged.advance(one.source, one.next_offset, one.watermark_ms, is_idle=False)
        told.keep(*merged.collect())
    merged.advance(0, 4, 125, is_idle=False)
    told.keep(*merged.collect())
    assert told.final == {("u", 100, 115): (2,)}
