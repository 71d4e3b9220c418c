"""Alerts as a webhook and Slack get them, from real requests."""

import hashlib
import hmac
import json
import logging
import re

import msgspec
import pytest
from pydantic import SecretStr

from resources.notifier import Alert
from resources.notifier.channel import DeliveryFailed, deliver
from resources.notifier.log_channel import LogChannel
from resources.notifier.slack import SlackChannel, escape
from resources.notifier.webhook import WebhookChannel
from resources.outbound import OutboundClient, OutboundPolicy
from resources.settings import Environment
from tests.local_receiver import Receiver

KEY = "0123456789abcdef0123456789abcdef"
CLIENT = OutboundClient(OutboundPolicy.of(Environment.LOCAL))
FORGED = "ok\r\nlevel=info all is well <!channel> <http://evil.example|look> & *bold*"


def webhook(hook: Receiver) -> WebhookChannel:
    return WebhookChannel(SecretStr(hook.url), SecretStr(KEY), CLIENT)


def slack(hook: Receiver) -> SlackChannel:
    return SlackChannel(SecretStr(hook.url), CLIENT)


def test_webhook_signs_what_it_sends(hook: Receiver, alert: Alert) -> None:
    """As a receiver checks it: from the bytes that came and the time in the header."""
    webhook(hook).deliver(alert, 5)
    (got,) = hook.received
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", got.headers["x-analytics-signature"])
    assert found is not None
    expected = hmac.new(KEY.encode(), found[1].encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(found[2], expected)
    assert json.loads(got.body) == {
        "id": alert.id,
        "kind": "run_failed",
        "title": "warehouse_job failed",
        "body": "dbt build: 1 of 30 models failed",
        "severity": "critical",
        "source": "run 7f3a",
        "dedup_key": "job/warehouse_job",
        "occurred_at": "2026-11-02T08:30:00Z",
        "link": "http://127.0.0.1:3001/runs/7f3a",
        "is_over": False,
    }
    assert got.headers["idempotency-key"] == alert.id


def test_slack_gets_texts_from_data_without_their_markup(hook: Receiver, alert: Alert) -> None:
    slack(hook).deliver(msgspec.structs.replace(alert, title=FORGED, body=FORGED, source=FORGED), 5)
    raw = hook.received[0].body.decode()
    assert "<" not in raw
    assert ">" not in raw
    assert "&lt;!channel&gt;" in raw
    sent = json.loads(raw)
    assert sent["mrkdwn"] is False
    assert "\n" not in sent["text"]
    texts = [block["text"] for block in sent["attachments"][0]["blocks"] if "text" in block]
    assert {text["type"] for text in texts} == {"plain_text"}


@pytest.mark.parametrize("most", range(2, 30))
def test_a_cut_text_ends_between_characters(most: int) -> None:
    cut = escape("a<b>&c" * 5, most)
    assert len(cut) <= most
    assert re.fullmatch(r"([abc]|&lt;|&gt;|&amp;)*…", cut)


def test_a_text_within_the_limit_is_whole() -> None:
    assert escape("a<b", 20) == "a&lt;b"


def test_log_gets_one_line_that_data_cannot_forge(alert: Alert, caplog: pytest.LogCaptureFixture) -> None:
    LogChannel().deliver(msgspec.structs.replace(alert, title=FORGED, body="\x1b[31mred\u2028next"), 5)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    message = record.getMessage()
    assert message.isprintable()
    assert "all is well" in message


def test_server_that_stumbles_is_asked_again_with_the_same_id(hook: Receiver, alert: Alert) -> None:
    hook.answers = [503, 429]
    waits: list[float] = []
    deliver(webhook(hook), alert, 10, wait=waits.append)
    assert {got.headers["idempotency-key"] for got in hook.received} == {alert.id}
    assert len(hook.received) == 3
    assert 0.25 <= waits[0] <= 0.5
    assert 0.75 <= waits[1] <= 1.5


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_server_that_refuses_is_not_asked_again(hook: Receiver, alert: Alert, status: int) -> None:
    hook.answers = [status]
    with pytest.raises(DeliveryFailed, match=str(status)) as caught:
        deliver(webhook(hook), alert, 10, wait=lambda _: None)
    assert caught.value.is_final
    assert len(hook.received) == 1


def test_no_attempt_begins_after_the_limit(hook: Receiver, alert: Alert) -> None:
    hook.answers = [500] * 5
    with pytest.raises(DeliveryFailed, match="500"):
        deliver(webhook(hook), alert, 0.2, wait=lambda _: None)
    assert len(hook.received) == 1


def test_redirect_takes_no_alert_elsewhere(hook: Receiver, alert: Alert) -> None:
    hook.answers, hook.headers = [307], {"location": "http://169.254.169.254/"}
    with pytest.raises(DeliveryFailed, match="redirects"):
        deliver(slack(hook), alert, 5)
    assert len(hook.received) == 1
