"""ANALYTICS_SECRETS__…: a provider of secrets, as Vault or a cloud's secret manager is behind one.

A provider is a callable of one's own: `ANALYTICS_SECRETS__PROVIDER=company.vault:read_secrets`, or the name of an entry
point of the group `analytics.secrets`. It is asked once a process, for the secrets that nothing else has set.
"""

import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Protocol, cast

from pydantic import Field

from resources.settings.errors import SettingsError
from resources.settings.section import Section

ENTRY_POINTS = "analytics.secrets"


class SecretsProvider(Protocol):
    """Knows secrets by the names of their variables."""

    def __call__(self, names: tuple[str, ...]) -> Mapping[str, str]:
        """Those of the named secrets that it has. What it raises ends the process's start."""


class SecretsSettings(Section):
    """Who else is asked for secrets."""

    provider: str | None = Field(None, description="module:callable, or an entry point of the group analytics.secrets.")


@functools.cache
def ask_provider(provider: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """What a provider answers.

    Raises:
        SettingsError: there is no such provider, or it failed.
    """
    try:
        return _find(provider)(names)
    except Exception as error:  # a provider is foreign code; its message may hold what it knows
        raise SettingsError(
            f"ANALYTICS_SECRETS__PROVIDER: {provider} could not be asked ({type(error).__name__})"
        ) from error


def _find(provider: str) -> SecretsProvider:
    module, separator, name = provider.partition(":")
    if separator:
        return cast("SecretsProvider", getattr(importlib.import_module(module), name))
    (found,) = importlib.metadata.entry_points(group=ENTRY_POINTS, name=provider)
    return cast("SecretsProvider", found.load())
