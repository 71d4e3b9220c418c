"""Cores that a process may use, whatever holds it back."""

import os
from pathlib import Path

import pytest

from streaming.usable_cores import usable_cores

CORES = float(len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", CORES),
        ("50000 100000\n", 0.5),
        (f"{int(CORES) * 200_000} 100000\n", CORES),
        ("nonsense", CORES),
        (None, CORES),
    ],
)
def test_share_of_a_container_counts_where_it_is_less_than_the_machine(
    tmp_path: Path, quota: str | None, cores: float
) -> None:
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota)
    assert usable_cores(file) == cores
