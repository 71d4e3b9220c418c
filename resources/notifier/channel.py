"""A way to people, and how often it is tried."""

import random
import time
from collections.abc import Callable
from typing import Protocol

from resources.notifier.alert import Alert

ATTEMPTS = 3
FIRST_PAUSE_S = 0.5


class DeliveryFailed(RuntimeError):
    """An alert did not get through. The message names the cause and no secret.

    `is_final`: another attempt would end in the same way, as with a wrong address.
    """

    def __init__(self, cause: str, *, is_final: bool = False) -> None:
        super().__init__(cause)
        self.is_final = is_final


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        """Hand over one alert.

        Raises:
            DeliveryFailed: it is not known to have arrived.
        """


def deliver(channel: Channel, alert: Alert, limit_s: float, wait: Callable[[float], None] = time.sleep) -> None:
    """Hand over one alert, with up to three attempts and growing pauses within a limit of seconds.

    Raises:
        DeliveryFailed: the last attempt's.
    """
    end = time.monotonic() + limit_s
    pause = FIRST_PAUSE_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            channel.deliver(alert, timeout_s=max(0.1, end - time.monotonic()))
        except DeliveryFailed as error:
            # Half of the pause at random: several processes that failed together do not come back together.
            waits = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            if error.is_final or attempt == ATTEMPTS or time.monotonic() + waits >= end:
                raise
            wait(waits)
            pause *= 3
        else:
            return
