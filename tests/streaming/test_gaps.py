"""A reader that meets missing offsets asks for them again before it believes that the log has none."""

from streaming.gaps import GRACE_S, Gaps

PLACE = ("events.v1", 0)
OTHER = ("events.v1", 1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def looks(gaps: Gaps, clock: Clock, place: tuple[str, int], offset: int, seconds: float) -> list[bool]:
    """What a reader is told that comes back every half second."""
    told = []
    for _ in range(round(seconds / 0.5)):
        clock.now_s += 0.5
        told.append(gaps.may_pass(place, offset))
    return told


def test_a_gap_is_passed_only_after_it_has_stood_for_the_grace() -> None:
    clock = Clock()
    gaps = Gaps(clock)
    assert not gaps.may_pass(PLACE, 351)
    assert not any(looks(gaps, clock, PLACE, 351, GRACE_S - 0.5))
    assert gaps.stands_before_one(PLACE)
    assert looks(gaps, clock, PLACE, 351, 0.5) == [True]
    gaps.read(PLACE, 371)
    assert not gaps.stands_before_one(PLACE)


def test_every_gap_and_every_partition_has_a_grace_of_its_own() -> None:
    clock = Clock()
    gaps = Gaps(clock)
    assert not gaps.may_pass(PLACE, 351)
    looks(gaps, clock, PLACE, 351, GRACE_S - 0.5)
    assert not gaps.may_pass(OTHER, 351)
    assert not gaps.may_pass(PLACE, 400)
    assert looks(gaps, clock, PLACE, 400, GRACE_S)[-1]


def test_time_in_which_the_broker_was_away_does_not_count() -> None:
    clock = Clock()
    gaps = Gaps(clock)
    assert not gaps.may_pass(PLACE, 351)
    clock.now_s += 60
    assert not gaps.may_pass(PLACE, 351)
    assert looks(gaps, clock, PLACE, 351, GRACE_S)[-1]


def test_a_gap_that_was_filled_is_forgotten_and_one_that_is_read_up_to_is_not() -> None:
    gaps = Gaps(Clock())
    assert not gaps.may_pass(PLACE, 351)
    gaps.read(PLACE, 351)
    assert gaps.stands_before_one(PLACE)
    gaps.read(PLACE, 364)
    assert not gaps.stands_before_one(PLACE)
