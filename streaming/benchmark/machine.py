"""Where a measurement was made: machine, versions, and how busy the machine was with other things."""

import importlib.metadata
import os
import platform
from pathlib import Path

import confluent_kafka
import msgspec

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("faust-streaming", "aiokafka", "confluent-kafka", "msgspec", "numpy", "pyarrow")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine, and its load average before the first measurement: anything above 0 took part in the result."""

    cpu: str
    cores: int
    memory_mb: int
    system: str
    load_average: float


def describe_machine() -> Machine:
    """Describe the machine as it is now."""
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        system=platform.platform(),
        load_average=round(os.getloadavg()[0], 2),
    )


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the packages that the hot path runs on."""
    versions = {"python": platform.python_version(), "librdkafka": confluent_kafka.libversion()[0]}
    return versions | {package: importlib.metadata.version(package) for package in _PACKAGES}


def busy_cpu_s() -> float:
    """CPU seconds that all processes of the machine have used since it started."""
    fields = [int(text) for text in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]
    idle_and_waiting = fields[3] + fields[4]
    return (sum(fields[:8]) - idle_and_waiting) / _TICKS_A_SECOND


def _field(path: str, name: str) -> str | None:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
