"""The stream worker and the streaming names of the public API, loaded on first use: importing this costs nothing."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_assets.contracts.events import EventType
    from platform_assets.contracts.windows import WindowType
    from streaming.event_store import EventStore
    from streaming.realtime_ml import RealtimeMLPipeline
    from streaming.windowed_processor import WindowedProcessor

__all__ = ["EventStore", "EventType", "RealtimeMLPipeline", "WindowType", "WindowedProcessor"]

_HOMES = {
    "EventStore": "streaming.event_store",
    "EventType": "platform_assets.contracts.events",
    "RealtimeMLPipeline": "streaming.realtime_ml",
    "WindowType": "platform_assets.contracts.windows",
    "WindowedProcessor": "streaming.windowed_processor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
