"""What `analytics config` tells: the settings in force and their faults."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from resources.settings.sources import FILE_SUFFIX, SECRETS_DIR, Given, gather
from resources.settings.strength import missing_settings, weak_secrets
from resources.settings.tree import Settings
from resources.settings.variables import variable_name, variables_of

HIDDEN = "**********"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: `kind` is unknown, bad, missing or weak."""

    kind: str
    variable: str
    reason: str


@dataclass(frozen=True)
class Shown:
    """One setting as it may be seen."""

    variable: str
    value: str
    origin: str


def find_faults() -> list[Fault]:
    """Everything that is wrong with the settings of this environment.

    Raises:
        SettingsError: a source cannot be read, so nothing can be said.
    """
    given = gather(Settings)
    faults = _unknown(given)
    try:
        settings = Settings()
    except ValidationError as error:
        named = {fault.variable for fault in faults}
        bad = [(variable_name(item["loc"]), item["msg"]) for item in error.errors(include_input=False)]
        return faults + [Fault("bad", variable, reason) for variable, reason in bad if variable not in named]
    faults += [Fault("missing", found.variable, found.reason) for found in missing_settings(settings)]
    faults += [
        Fault("bad", variable_name(("alerts", name)), f"has to be https in {settings.environment.value}")
        for name in settings.alerts.unencrypted(settings.environment)
    ]
    return faults + [Fault("weak", found.variable, found.reason) for found in weak_secrets(settings)]


def show_settings(settings: Settings) -> list[Shown]:
    """Every setting in force, secrets hidden, and who set it."""
    given = gather(type(settings))
    return [
        Shown(name, _printable(variable.value_in(settings)), given[name].origin if name in given else "default")
        for name, variable in variables_of(type(settings)).items()
    ]


def _unknown(given: Mapping[str, Given]) -> list[Fault]:
    known = list(variables_of(Settings))
    nearby = [*known, SECRETS_DIR, *(name + FILE_SUFFIX for name in known)]
    faults = []
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, nearby, n=1, cutoff=0.8)
        faults.append(
            Fault("unknown", name, "no setting has this name" + (f"; did you mean {near[0]}?" if near else ""))
        )
    return faults


def _printable(value: object) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    text = str(value)
    if "://" in text and urlsplit(text).password is not None:
        return HIDDEN  # an address that turned out to hold a password
    return text
