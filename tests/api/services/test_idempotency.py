"""What is remembered of requests with an Idempotency-Key, and when it is forgotten."""

import pytest

from api.services.idempotency import Answer, Answers, Claim, KeyInFlight, KeyReused

ANSWER = Answer(202, b"taken", "application/json")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def answer(answers: Answers, caller: str = "c", key: str = "k", digest: bytes = b"d", body: bytes = b"taken") -> None:
    claim = answers.claim(caller, key, digest)
    assert isinstance(claim, Claim)
    with claim:
        claim.keep(Answer(202, body, "application/json"))


def test_a_repeat_gets_the_first_answer() -> None:
    answers = Answers()
    answer(answers)
    assert answers.claim("c", "k", b"d") == ANSWER


def test_another_request_with_the_key_is_told_so_and_another_caller_has_keys_of_its_own() -> None:
    answers = Answers()
    answer(answers)
    with pytest.raises(KeyReused):
        answers.claim("c", "k", b"other")
    assert isinstance(answers.claim("someone else", "k", b"other"), Claim)


def test_a_repeat_while_the_first_is_under_way_has_to_wait() -> None:
    answers = Answers()
    claim = answers.claim("c", "k", b"d")
    with pytest.raises(KeyInFlight):
        answers.claim("c", "k", b"d")
    with pytest.raises(KeyReused):
        answers.claim("c", "k", b"other")
    assert isinstance(claim, Claim)
    with claim:
        claim.keep(ANSWER)
    assert answers.claim("c", "k", b"d") == ANSWER


def test_a_first_request_that_failed_leaves_the_key_free() -> None:
    answers = Answers()
    claim = answers.claim("c", "k", b"d")
    assert isinstance(claim, Claim)
    with pytest.raises(RuntimeError), claim:
        raise RuntimeError
    assert isinstance(answers.claim("c", "k", b"other"), Claim)


def test_answers_are_forgotten_by_age_number_and_size_oldest_first() -> None:
    clock = Clock()
    answers = Answers(max_answers=3, max_bytes=10_000, max_age_s=60, clock=clock)
    for key in "abcd":
        answer(answers, key=key)
    assert isinstance(answers.claim("c", "a", b"d"), Claim)
    assert answers.claim("c", "b", b"d") == ANSWER
    answer(answers, key="e", body=b"x" * 9000)
    assert isinstance(answers.claim("c", "b", b"d"), Claim)
    assert isinstance(answers.claim("c", "e", b"d"), Answer)
    clock.now = 61
    assert isinstance(answers.claim("c", "e", b"d"), Claim)


def test_an_answer_over_the_whole_size_is_not_kept() -> None:
    answers = Answers(max_bytes=1000)
    answer(answers, body=b"x" * 1000)
    assert isinstance(answers.claim("c", "k", b"d"), Claim)
