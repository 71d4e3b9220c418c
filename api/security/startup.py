"""What the server refuses to start with."""

from api.security.identity import is_loopback
from resources.settings import Environment, Settings


class UnsafeConfiguration(RuntimeError):
    """The settings would open the door to callers that nobody knows; the message says what to change."""


def refuse_unsafe(settings: Settings) -> None:
    """Stop before the first request where the settings are not safe.

    Raises:
        UnsafeConfiguration: outside `local`, where callers could not be told apart; or `local` beyond this machine.
    """
    if settings.environment is not Environment.LOCAL:
        raise UnsafeConfiguration(
            f"ANALYTICS_ENVIRONMENT is {settings.environment.value}, but this version cannot tell callers apart: "
            "users and keys are not built in yet. Run it with ANALYTICS_ENVIRONMENT=local on your own machine; "
            "do not expose it."
        )
    if not is_loopback(settings.api.host):
        raise UnsafeConfiguration(
            f"ANALYTICS_API__HOST is {settings.api.host}, but in the environment local every caller is the developer, "
            "so only this machine may reach the server. Set ANALYTICS_API__HOST=127.0.0.1."
        )
