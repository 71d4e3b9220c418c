"""File names of the landing zone say what they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.contracts.landing import LandingFile, parse_path, without_superseded

offsets = st.integers(0, 2**63 - 1)


@given(st.sampled_from(["events.v1", "events.rejected.v1"]), st.integers(0, 999), offsets, offsets)
def test_path_and_file_say_the_same(topic: str, partition: int, first: int, last: int) -> None:
    file = LandingFile(topic, "AaIGWEExdwCJJVZIUwUHqw", partition, first, last)
    assert parse_path(str(file.path)) == file


@pytest.mark.parametrize(
    "path",
    [
        "events.v1/log=a/part=0/.00000000000000000000-00000000000000000009.parquet.12.tmp",
        "events.v1/log=a/part=x/00000000000000000000-00000000000000000009.parquet",
        "events.v1/log=a/part=0/0-9.parquet",
    ],
)
def test_other_files_are_not_taken_for_landed_ones(path: str) -> None:
    assert parse_path(path) is None


def test_files_that_lie_wholly_in_another_of_their_partition_are_superseded() -> None:
    """Equal ranges of other partitions, logs or topics are other records, and an overlap is not a merge."""
    spans = [(0, 4), (0, 9), (5, 9), (10, 12), (10, 19), (11, 12), (19, 20), (21, 30)]
    files = [LandingFile("events.v1", "log-a", 0, *span) for span in spans]
    others = [
        LandingFile("events.v1", "log-a", 1, 0, 4),
        LandingFile("events.v1", "log-b", 0, 0, 4),
        LandingFile("other.v1", "log-a", 0, 0, 4),
    ]
    kept = without_superseded([*reversed(files), *others])
    assert [(file.first, file.last) for file in kept if file.path.parent == files[0].path.parent] == [
        (0, 9),
        (10, 19),
        (19, 20),
        (21, 30),
    ]
    assert set(others) <= set(kept)
