"""What people are told."""

import datetime as dt
import enum
import hashlib

import msgspec


class Severity(enum.StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. Texts may come from data: each channel escapes them in its own way.

    `source` is where it happened (a run, an asset's check). Alerts with one `dedup_key` speak of the same trouble:
    while it lasts they are sent once in a while only. `occurred_at` says when it happened, not when it was noticed, so
    that noticing it twice makes the same alert. `is_over` marks the notice that the trouble has ended.
    """

    kind: str
    title: str
    body: str
    severity: Severity
    source: str
    dedup_key: str
    occurred_at: dt.datetime
    link: str | None = None
    is_over: bool = False

    @property
    def id(self) -> str:
        """The same for the same thing; receivers may drop what they have seen."""
        parts = (self.kind, self.dedup_key, self.source, self.occurred_at.astimezone(dt.UTC).isoformat())
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def one_line(text: str) -> str:
    """The text without line ends and other control characters: no header, log line or terminal obeys it."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def lines(text: str) -> str:
    """The text with its line breaks and no other control characters."""
    return "\n".join(one_line(line) for line in text.splitlines()).strip()
