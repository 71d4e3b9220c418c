"""File names of the landing zone say what they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.contracts.landing import LandingFile, parse_path

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
