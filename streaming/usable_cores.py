"""How many cores this process may use."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota_file: Path = _QUOTA) -> float:
    """The cores that it may run on, or the share of them that its container has, whichever is less."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        quota, _, period = quota_file.read_text().partition(" ")
        return cores if quota == "max" else min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        # No control group of the second version: there is no share to be known.
        return cores
