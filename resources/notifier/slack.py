"""Alerts in a Slack channel, through an incoming webhook.

What comes from data stands in plain-text blocks with `&`, `<` and `>` escaped, so that no table name or error message
becomes a link, bold text or a call to everybody (`<!channel>`).
"""

from typing import Any

import msgspec
from pydantic import SecretStr

from resources.notifier.alert import Alert, Severity, lines, one_line
from resources.notifier.webhook import post
from resources.outbound import OutboundClient

# Slack's own limits are 150 characters for a header and 3,000 for a section, counted after escaping.
_MAX_TITLE = 150
_MAX_BODY = 2_900
_COLOURS = {Severity.INFO: "#2eb67d", Severity.WARNING: "#ecb22e", Severity.CRITICAL: "#e01e5a"}


class SlackChannel:
    """One incoming webhook."""

    name = "slack"

    def __init__(self, url: SecretStr, client: OutboundClient) -> None:
        self._url = url
        self._client = client

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        """Post the message."""
        headers = {"Content-Type": "application/json"}
        post(self._client, self._url, msgspec.json.encode(message(alert)), headers, timeout_s)


def message(alert: Alert) -> dict[str, Any]:
    """The message as Slack takes it; `text` is what a notification shows."""
    title = escape(one_line(alert.title), _MAX_TITLE)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title)}]
    if alert.body:
        blocks.append({"type": "section", "text": _plain(escape(lines(alert.body), _MAX_BODY))})
    about = f"{alert.severity.value} · {alert.source} · {alert.occurred_at:%Y-%m-%d %H:%M:%S %Z}"
    blocks.append({"type": "context", "elements": [_plain(escape(one_line(about), _MAX_BODY))]})
    if alert.link:
        button = {"type": "button", "text": _plain("Open"), "url": alert.link}
        blocks.append({"type": "actions", "elements": [button]})
    colour = _COLOURS[Severity.INFO if alert.is_over else alert.severity]
    return {"text": title, "mrkdwn": False, "attachments": [{"color": colour, "blocks": blocks}]}


def escape(text: str, most: int) -> str:
    """At most so many characters of a text, with the three that Slack gives a meaning escaped; none is cut in two."""
    escaped = ""
    for char in text:
        safe = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(char, char)
        if len(escaped) + len(safe) > most - 1:
            return escaped + "…"
        escaped += safe
    return escaped


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
