"""The results of a run against its ledger, filled into the measurement."""

from platform_assets.contracts.topics import EVENTS
from streaming.benchmark.cluster import Cluster
from streaming.benchmark.generator import Sent
from streaming.benchmark.landed import count_landed
from streaming.benchmark.load import Load
from streaming.benchmark.log_reading import raw_consume_eps
from streaming.benchmark.oracle import Comparison, Found, compare, expected_windows
from streaming.benchmark.platform_worker import Duties, PlatformWorker
from streaming.benchmark.report import Measurement

RAW_LIMIT = 1_000_000


def check_windows(measurement: Measurement, load: Load, sent: Sent, found: list[Found]) -> Comparison:
    """Compare what an engine found with the recomputation; without landing this is the count of losses too."""
    comparison = compare(expected_windows(load, sent.events), found)
    measurement.windows = comparison.windows
    measurement.windows_match = comparison.match
    measurement.lost = comparison.events_missing
    measurement.duplicated = comparison.events_too_many
    return comparison


def check_landing(measurement: Measurement, load: Load, sent: Sent, worker: PlatformWorker) -> None:
    """Count every event in the landing files. The worker has ended, so everything it will land has landed."""
    if measurement.duties is Duties.WINDOWS:
        return
    landed = count_landed(worker.data_dir / "landing", load.run, sent.events, load.repeated(sent.events))
    measurement.lost = max(landed.lost, measurement.lost or 0)
    measurement.duplicated = max(landed.doubled, measurement.duplicated or 0)


def measure_raw_consumption(measurement: Measurement, cluster: Cluster) -> None:
    """What a plain client reads off the same topic in the same run: the limit of any engine on this machine now."""
    eps = raw_consume_eps(cluster.address, EVENTS.name, EVENTS.partitions, RAW_LIMIT)
    measurement.raw_consume_eps = None if eps is None else round(eps)
