"""What the rest of the platform calls. Sending never raises: who has something to say has enough trouble already."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import msgspec

from resources.notifier.alert import Alert
from resources.notifier.channel import Channel, DeliveryFailed, deliver
from resources.notifier.outbox import Delivery, Fate, Outbox, State
from resources.online_store.database import OnlineStoreError
from resources.telemetry.redaction import Redactor

MAX_BODY = 4_000
MAX_TITLE = 300
MOST_AT_ONCE = 20
"""Deliveries of one channel in a row, so that whoever alerts is not kept by what others left behind."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What became of an alert, and on each channel where it was to be sent."""

    fate: Fate
    deliveries: tuple[Delivery, ...] = ()


class Notifier(Protocol):
    """Tells people."""

    def send(self, alert: Alert) -> Report:
        """Say that something is wrong. The same alert is sent once; more of the same trouble now and then."""

    def resolve(self, alert: Alert) -> Report:
        """Say that the trouble with the alert's `dedup_key` is over; nothing is sent where there is none."""


class OutboxNotifier:
    """Sends through all channels at once, and keeps what did not get through for later.

    Args:
        channels: where alerts go.
        outbox: what was said and what is still to be said.
        give_up_after_s: how long one alert may take on one channel.
        redactor: takes secrets out of texts before they are kept or sent.
    """

    def __init__(
        self, channels: Sequence[Channel], outbox: Outbox, *, give_up_after_s: float, redactor: Redactor
    ) -> None:
        self._channels = channels
        self._outbox = outbox
        self._give_up_after_s = give_up_after_s
        self._redactor = redactor

    def send(self, alert: Alert) -> Report:
        """See `Notifier`."""
        return self._handle(self._cleaned(alert), is_end=False)

    def resolve(self, alert: Alert) -> Report:
        """See `Notifier`."""
        return self._handle(msgspec.structs.replace(self._cleaned(alert), is_over=True), is_end=True)

    def deliver_waiting(self) -> int:
        """Try what did not get through before and is due; returns how many deliveries succeeded.

        Raises:
            OnlineStoreError: the outbox cannot be read or written.
        """
        with ThreadPoolExecutor(max(1, len(self._channels)), thread_name_prefix="alerts") as threads:
            return sum(threads.map(self._drain, self._channels))

    def _handle(self, alert: Alert, *, is_end: bool) -> Report:
        names = [channel.name for channel in self._channels]
        try:
            record = self._outbox.record_end if is_end else self._outbox.record
            fate = record(alert, names)
        except OnlineStoreError:
            _log.exception("Alerts are not remembered, so this one may be sent again: %s", alert.title)
            return Report(Fate.RECORDED, tuple(self._send_unremembered(channel, alert) for channel in self._channels))
        try:
            if fate is Fate.RECORDED:
                self.deliver_waiting()
            return Report(fate, self._outbox.deliveries(alert))
        except OnlineStoreError:
            # It is written down and may have been sent: whoever delivers next finds out.
            _log.exception("What became of an alert is not known: %s", alert.title)
            return Report(fate)

    def _drain(self, channel: Channel) -> int:
        sent = 0
        for _ in range(MOST_AT_ONCE):
            claimed = self._outbox.claim(channel.name)
            if claimed is None:
                break
            failure = self._try(channel, claimed.alert)
            if failure is None:
                self._outbox.settle(channel.name, claimed, None)
                sent += 1
                continue
            state = self._outbox.settle(channel.name, claimed, str(failure), is_final=failure.is_final)
            then = "it is tried again later" if state is State.WAITING else "it is given up"
            _log.error("ALERT NOT DELIVERED by %s, %s: %s: %s", channel.name, then, failure, claimed.alert.title)
        return sent

    def _send_unremembered(self, channel: Channel, alert: Alert) -> Delivery:
        failure = self._try(channel, alert)
        if failure is None:
            return Delivery(channel.name, State.SENT, "")
        _log.error("ALERT NOT DELIVERED by %s: %s: %s", channel.name, failure, alert.title)
        return Delivery(channel.name, State.GIVEN_UP, str(failure))

    def _try(self, channel: Channel, alert: Alert) -> DeliveryFailed | None:
        try:
            deliver(channel, alert, self._give_up_after_s)
        except DeliveryFailed as error:
            return error
        except Exception as error:
            # A channel's own fault must not end the run that alerts.
            _log.exception("The channel %s failed", channel.name)
            return DeliveryFailed(type(error).__name__)
        return None

    def _cleaned(self, alert: Alert) -> Alert:
        return msgspec.structs.replace(
            alert,
            title=self._redactor.redact_text(alert.title)[:MAX_TITLE],
            body=self._redactor.redact_text(alert.body)[:MAX_BODY],
        )
