"""Live features of one entity from the newest windows that the stream has kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from platform_assets.contracts.features import LiveFeatureSet
from platform_assets.contracts.windows import WINDOWS, WindowDefinition, WindowType

LIVE_WINDOWS: dict[str, WindowDefinition] = {definition.name: definition for definition in WINDOWS}


@dataclass(frozen=True, slots=True)
class NewestWindow:
    """The newest window of one definition and entity: its count, then its aggregates in the definition's order."""

    start_ms: int
    end_ms: int
    values: Sequence[float | None]


def live_features(
    feature_set: LiveFeatureSet, newest: Mapping[str, NewestWindow]
) -> tuple[int, dict[str, float | None]]:
    """The time that the features are as of, in milliseconds, and the features by name.

    Args:
        feature_set: says which value of which window each feature is.
        newest: by the name of the definition; at least one. A definition without a window gives features of 0.
    """
    as_of_ms = max(_last_known_ms(LIVE_WINDOWS[name], window) for name, window in newest.items())
    values: dict[str, float | None] = {}
    for column, source in zip(feature_set.columns, feature_set.sources, strict=True):
        window = newest.get(source.window)
        if window is None or window.end_ms <= as_of_ms:
            values[column.name] = 0.0
            continue
        names = ("count", *LIVE_WINDOWS[source.window].aggregate_names)
        value = window.values[names.index(source.value)]
        # A sum over events of which none has the field is null: nothing was spent.
        values[column.name] = 0.0 if value is None else float(value)
    return as_of_ms, values


def _last_known_ms(definition: WindowDefinition, window: NewestWindow) -> int:
    """A session ends one gap after its last event; of a fixed window it is only known that it began."""
    if definition.window_type is WindowType.SESSION:
        return window.end_ms - definition.size_ms
    return window.start_ms
