"""Structured logs: one JSON object per line on stderr, whatever library wrote it.

A line has `time` (UTC, ISO 8601), `level`, `service`, `logger` and `message`; what a call passes as `extra` stands
beside them, an exception's traceback under `exception`. JSON escapes line breaks, so a value cannot forge a line, and
what looks like a secret is masked: see `resources.telemetry.redaction`.
"""

import datetime as dt
import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import msgspec

from resources.telemetry.redaction import Redactor

# JSON leaves these as they are, and some readers end a line at them.
_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"})

# What every LogRecord has anyway; all else on it came in as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_PLAIN = (str, int, float, type(None))
_OWN = frozenset({"time", "level", "service", "logger", "message", "exception"})


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object."""

    def __init__(self, service: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._service = service
        self._redactor = Redactor(secrets)
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        line: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[f"{name}_" if name in _OWN else name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if all(isinstance(value, _PLAIN) for value in line.values()):
            encoded = self._encode(line)
            if not self._redactor.is_suspicious(encoded):
                return encoded
        return self._encode(self._redactor.redact(line))

    def _encode(self, line: dict[str, Any]) -> str:
        try:
            return self._encoder.encode(line).decode().translate(_LINE_ENDS)
        except UnicodeEncodeError:
            # A lone surrogate, from a file name or an address, say, has no UTF-8 form.
            printable = {name: str(value).encode("utf-8", "backslashreplace").decode() for name, value in line.items()}
            return self._encoder.encode(printable).decode().translate(_LINE_ENDS)


def configure_logging(
    service: str, *, level: int | str = logging.INFO, stream: TextIO | None = None, secrets: Iterable[str] = ()
) -> None:
    """Send every logger's records to `stream` (stderr) as JSON lines. Calling it again replaces the first set-up.

    `secrets` are masked wherever they stand, also where nothing about them looks like a secret.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(service, secrets))
    root = logging.getLogger()
    for previous in [known for known in root.handlers if isinstance(known.formatter, JsonLines)]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
