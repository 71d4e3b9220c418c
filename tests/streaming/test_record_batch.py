"""Batches that follow on each other become one."""

from streaming.record_batch import joined
from tests.streaming_records import a_batch


def test_batches_of_a_partition_that_follow_on_each_other_are_joined() -> None:
    """A gap, another partition and the limit begin a new one; empty ranges belong to their neighbours."""
    batches = [
        a_batch([(0, b"a")], start=0, next_offset=1),
        a_batch([(0, b"x")], start=0, next_offset=1, partition=1),
        a_batch([(2, b"b")], start=1, next_offset=4),
        a_batch([], start=4, next_offset=6),
        a_batch([(9, b"c")], start=9, next_offset=10),
        a_batch([(10, b"d"), (11, b"e"), (12, b"f")], start=10, next_offset=13),
    ]
    found = [(one.partition, one.start, one.next_offset, one.values) for one in joined(batches, max_records=3)]
    assert found == [
        (0, 0, 6, [b"a", b"b"]),
        (1, 0, 1, [b"x"]),
        (0, 9, 10, [b"c"]),
        (0, 10, 13, [b"d", b"e", b"f"]),
    ]
