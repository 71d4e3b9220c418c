"""What a process tells about itself. Every process logs through here, so that all lines carry the same fields."""

from resources.telemetry.logs import configure_logging
from resources.telemetry.observability import ObservabilityConfig, configure_observability, get_observability_config
from resources.telemetry.tracing import trace_function

__all__ = [
    "ObservabilityConfig",
    "configure_logging",
    "configure_observability",
    "get_observability_config",
    "trace_function",
]
