"""Who holds an alias, and when and why that changed."""

import datetime as dt

from resources.model_registry.registry import MlflowRegistry
from resources.model_registry.versions import CHALLENGER, CHAMPION, Alias, RegisteredVersion

AUDIT_PREFIX = "audit."


def give_alias(registry: MlflowRegistry, version: RegisteredVersion, alias: Alias, reason: str) -> None:
    """Give an alias to a version and note time and reason on it. A version that holds it already is left as it is.

    The champion stops being challenger; whoever was champion keeps its notes.
    """
    holder = registry.by_alias(version.name, alias)
    if holder is not None and holder.version == version.version:
        return
    registry.set_alias(version.name, alias, version.version)
    if alias == CHAMPION:
        challenger = registry.by_alias(version.name, CHALLENGER)
        if challenger is not None and challenger.version == version.version:
            registry.drop_alias(version.name, CHALLENGER)
    # One tag a transition, its time in the key: a later one never overwrites it.
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    registry.tag_version(version.name, version.version, {f"{AUDIT_PREFIX}{now}": f"{alias}: {reason}"})


def audit_trail(version: RegisteredVersion) -> list[str]:
    """The transitions of a version, oldest first, as `<time> <alias>: <reason>`."""
    notes = sorted((key, text) for key, text in version.tags.items() if key.startswith(AUDIT_PREFIX))
    return [f"{key.removeprefix(AUDIT_PREFIX)} {text}" for key, text in notes]
