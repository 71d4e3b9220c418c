"""What is said once, what is said again, and what a failing channel does: nothing but noise in the log."""

import datetime as dt
import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from resources.notifier import Alert, Fate
from resources.notifier.channel import Channel, DeliveryFailed
from resources.notifier.notifier import OutboxNotifier
from resources.notifier.outbox import Outbox, State
from resources.notifier.webhook import WebhookChannel
from resources.outbound import OutboundClient, OutboundPolicy
from resources.settings import Environment
from resources.telemetry.redaction import Redactor
from tests.local_receiver import Receiver

KEY = "0123456789abcdef0123456789abcdef"
MINUTE = dt.timedelta(minutes=1)


class Broken:
    """A channel that fails until it is mended."""

    name = "broken"

    def __init__(self) -> None:
        self.is_mended = False
        self.got: list[Alert] = []

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        if not self.is_mended:
            raise DeliveryFailed("it is broken")
        self.got.append(alert)


class Faulty:
    """A channel with a fault of its own."""

    name = "faulty"

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        raise ZeroDivisionError


class Clock:
    """The time, and some seconds on top."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(tmp_path: Path, clock: Clock) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "state" / "alerts.sqlite", repeat_after_s=900, now=clock)
    yield made
    made.close()


def notifier(outbox: Outbox, *channels: Channel) -> OutboxNotifier:
    return OutboxNotifier(channels, outbox, give_up_after_s=2, redactor=Redactor(["hunter2-and-more"]))


def webhook(hook: Receiver) -> WebhookChannel:
    return WebhookChannel(SecretStr(hook.url), SecretStr(KEY), OutboundClient(OutboundPolicy.of(Environment.LOCAL)))


def later(alert: Alert, minutes: float) -> Alert:
    return msgspec.structs.replace(
        alert, occurred_at=alert.occurred_at + minutes * MINUTE, source=f"run {minutes}", body=f"failure {minutes}"
    )


def bodies(hook: Receiver) -> list[str]:
    return [json.loads(got.body)["body"] for got in hook.received]


def test_same_alert_is_sent_once(outbox: Outbox, hook: Receiver, alert: Alert) -> None:
    """A tick that is repeated notices the same failure again."""
    told = notifier(outbox, webhook(hook))
    assert told.send(alert).fate is Fate.RECORDED
    assert told.send(alert).fate is Fate.KNOWN
    assert len(hook.received) == 1


def test_same_alert_from_several_processes_is_sent_once(tmp_path: Path, hook: Receiver, alert: Alert) -> None:
    """Each has a notifier of its own on the same file."""

    def send(_: int) -> Fate:
        mine = Outbox(tmp_path / "alerts.sqlite", 900)
        try:
            return notifier(mine, webhook(hook)).send(alert).fate
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as threads:
        fates = list(threads.map(send, range(8)))
    assert fates.count(Fate.RECORDED) == 1
    assert len(hook.received) == 1


def test_ten_failures_in_a_row_are_one_alert_and_the_end_says_how_many(
    outbox: Outbox, hook: Receiver, alert: Alert
) -> None:
    told = notifier(outbox, webhook(hook))
    fates = [told.send(later(alert, number)).fate for number in range(10)]
    assert fates == [Fate.RECORDED] + [Fate.HELD_BACK] * 9
    assert told.resolve(later(alert, 20)).fate is Fate.RECORDED
    first, end = (json.loads(got.body) for got in hook.received)
    assert first["is_over"] is False
    assert end["is_over"] is True
    assert "9 more failures were not sent" in end["body"]


def test_trouble_that_lasts_is_said_again_with_what_was_held_back(
    outbox: Outbox, hook: Receiver, alert: Alert, clock: Clock
) -> None:
    told = notifier(outbox, webhook(hook))
    for number in range(3):
        told.send(later(alert, number))
    clock.ahead_s = 901
    told.send(later(alert, 3))
    assert bodies(hook) == ["failure 0", "failure 3\n2 more of these were not sent meanwhile."]


def test_failure_after_an_end_is_news(outbox: Outbox, hook: Receiver, alert: Alert) -> None:
    told = notifier(outbox, webhook(hook))
    told.send(alert)
    told.resolve(later(alert, 1))
    assert told.send(later(alert, 2)).fate is Fate.RECORDED
    assert len(hook.received) == 3


def test_end_without_a_trouble_is_not_sent(outbox: Outbox, hook: Receiver, alert: Alert) -> None:
    told = notifier(outbox, webhook(hook))
    assert told.resolve(alert).fate is Fate.NOTHING_TO_END
    told.send(later(alert, 1))
    told.resolve(later(alert, 2))
    assert told.resolve(later(alert, 3)).fate is Fate.NOTHING_TO_END
    assert len(hook.received) == 2


def test_success_before_the_failure_ends_nothing_though_it_is_noticed_later(
    outbox: Outbox, hook: Receiver, alert: Alert
) -> None:
    told = notifier(outbox, webhook(hook))
    told.send(later(alert, 5))
    assert told.resolve(later(alert, 4)).fate is Fate.NOTHING_TO_END
    assert told.resolve(later(alert, 6)).fate is Fate.RECORDED
    assert len(hook.received) == 2


def test_failure_that_is_noticed_after_its_end_says_so_and_leaves_nothing_open(
    outbox: Outbox, hook: Receiver, alert: Alert
) -> None:
    told = notifier(outbox, webhook(hook))
    told.resolve(later(alert, 5))
    told.send(later(alert, 4))
    assert bodies(hook) == ["failure 4\nIt has been well again since."]
    assert told.resolve(later(alert, 6)).fate is Fate.NOTHING_TO_END


def test_failing_channels_are_loud_in_the_log_and_stop_nobody(
    outbox: Outbox, hook: Receiver, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    report = notifier(outbox, Broken(), webhook(hook), Faulty()).send(alert)
    assert {delivery.channel: delivery.state for delivery in report.deliveries} == {
        "broken": State.WAITING,
        "webhook": State.SENT,
        "faulty": State.WAITING,
    }
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("ALERT NOT DELIVERED by broken" in line and "it is broken" in line for line in said)
    assert any("ALERT NOT DELIVERED by faulty" in line and "ZeroDivisionError" in line for line in said)


def test_what_did_not_get_through_is_delivered_later_once_and_in_order(
    outbox: Outbox, hook: Receiver, alert: Alert, clock: Clock
) -> None:
    broken = Broken()
    told = notifier(outbox, broken, webhook(hook))
    told.send(alert)
    other = msgspec.structs.replace(alert, dedup_key="job/churn_job", title="churn_job failed")
    told.send(other)
    assert told.deliver_waiting() == 0  # the channel rests
    broken.is_mended = True
    clock.ahead_s = 61
    assert told.deliver_waiting() == 2
    assert told.deliver_waiting() == 0
    assert [got.title for got in broken.got] == ["warehouse_job failed", "churn_job failed"]
    assert len(hook.received) == 2


def test_delivery_of_a_killed_process_is_tried_by_another_when_its_claim_ends(
    outbox: Outbox, hook: Receiver, alert: Alert, clock: Clock
) -> None:
    outbox.record(alert, ["webhook"])
    assert outbox.claim("webhook") is not None  # and then it is killed
    told = notifier(outbox, webhook(hook))
    assert told.deliver_waiting() == 0
    clock.ahead_s = 61
    assert told.deliver_waiting() == 1
    assert len(hook.received) == 1


def test_final_refusal_is_given_up(outbox: Outbox, hook: Receiver, alert: Alert) -> None:
    hook.answers = [404]
    (delivery,) = notifier(outbox, webhook(hook)).send(alert).deliveries
    assert (delivery.state, "404" in delivery.detail) == (State.GIVEN_UP, True)


def test_alert_is_sent_although_it_cannot_be_remembered(
    tmp_path: Path, hook: Receiver, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    """A file where the folder should be: nothing can be written."""
    (tmp_path / "state").write_text("")
    told = notifier(Outbox(tmp_path / "state" / "alerts.sqlite", 900), webhook(hook))
    told.send(alert)
    assert len(hook.received) == 1
    assert "may be sent again" in caplog.text


def test_secrets_and_endless_texts_are_cut_before_they_are_kept_or_sent(
    outbox: Outbox, hook: Receiver, alert: Alert, tmp_path: Path
) -> None:
    leaky = msgspec.structs.replace(alert, title="hunter2-and-more", body="postgresql://app:s3cret-pass@db " * 500)
    notifier(outbox, webhook(hook)).send(leaky)
    sent = json.loads(hook.received[0].body)
    assert sent["title"] == "***"
    assert len(sent["body"]) <= 4000
    outbox.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    for secret in (b"hunter2-and-more", b"s3cret-pass"):
        assert secret not in hook.received[0].body
        assert secret not in kept
