"""Answers about metrics are kept within a number of bytes, for one snapshot."""

from api.services.metric_answers import AnswerCache, AnswerForm, AnswerKey, MetricAnswer
from platform_assets.contracts.metric_queries import metric_query
from platform_assets.contracts.metrics import METRICS


def key(version: str, limit: int) -> AnswerKey:
    return version, metric_query(METRICS["sales"], limit=limit), AnswerForm.JSON


def answer(size: int) -> MetricAnswer:
    return MetricAnswer(b"x" * size, is_truncated=False, data_through=None)


def test_the_answers_unused_for_longest_make_room() -> None:
    cache = AnswerCache(20_000)
    for limit in (1, 2):
        cache.put(key("a", limit), answer(5_000))
    assert cache.get(key("a", 1)) is not None
    cache.put(key("a", 3), answer(5_000))
    assert cache.get(key("a", 2)) is None
    assert cache.newest(10) == [key("a", 3), key("a", 1)]


def test_answers_of_another_snapshot_go() -> None:
    cache = AnswerCache(100_000)
    cache.put(key("a", 1), answer(10))
    cache.put(key("b", 2), answer(10))
    assert cache.newest(10) == [key("b", 2)]


def test_an_answer_that_is_too_large_is_not_kept() -> None:
    cache = AnswerCache(10_000)
    cache.put(key("a", 1), answer(50_000))
    assert cache.newest(10) == []
