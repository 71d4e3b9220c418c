"""The last line of defence: what looks like a secret is taken out of a log line, whoever put it there.

The first line is not to log bodies, queries, headers and settings at all. This one is for what nobody thought of: the
message of a library's exception, a `repr` in a traceback, a warning.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

MASK = "***"

_WORDS = (
    "password|passwd|passphrase|secret|token|api[_-]?key|write[_-]?key|private[_-]?key|authorization|cookie|credential"
)
# As parts of the names of fields; `authorization` the header, `aws_secret_access_key` the variable.
_SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
# Every repetition that can fail has a bound: an address of 64 kB made for it must not stop the server for seconds.
_PAIR = re.compile(
    # A name, perhaps quoted (b'…' in the repr of ASGI headers, \" in JSON in a string), and what it is set to.
    rf"""(?P<name>(?:{_WORDS})[\w-]{{0,40}}\\?["']?\s{{0,4}}(?:[:=]|(?<=["']),|(?<=["']\s),)\s{{0,4}}(?:b(?=["']))?)"""
    r"""(?:(?P<quote>\\?["']).*?(?:(?P=quote)|$)|(?:(?:bearer|basic|digest)\s{1,4})?[^\s,&;"'}\])\\]+)""",
    re.IGNORECASE | re.MULTILINE,
)
_SCHEME = re.compile(r"\b(bearer|basic|digest)\s{1,4}[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(
    r"""(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,20}://[^\s/:@"']{0,128}:)[^\s@"']{1,256}@""", re.IGNORECASE
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
# Keys, write keys and refresh tokens as resources/identity makes them: two letters and 256 bits.
_OWN_KEYS = re.compile(r"(?<![A-Za-z0-9])(ak|wk|rt)_[\w-]{43}")
# Each pattern needs one of these: a line of the request log has none and costs 2 µs instead of 30.
_MARKS = (
    "pass",
    "secret",
    "token",
    "key",
    "authorization",
    "cookie",
    "credential",
    "bearer",
    "basic",
    "digest",
    "eyj",
    "ak_",
    "wk_",
    "rt_",
)


class Redactor:
    """Takes secrets out of texts: those that look like one, and the given ones wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = sorted({part for secret in secrets for part in _parts(secret)}, key=len, reverse=True)
        # As they stand in a line of JSON.
        self._encoded = [msgspec.json.encode(secret).decode()[1:-1] for secret in self._known]

    def is_suspicious(self, line: str) -> bool:
        """Whether a line of JSON may hold a secret; cheap."""
        lowered = line.lower()
        return (
            any(mark in lowered for mark in _MARKS)
            or ("://" in line and "@" in line)
            or any(secret in line for secret in self._encoded)
        )

    def redact(self, value: Any) -> Any:
        """The value without secrets; what is neither text, number nor container becomes its text."""
        if isinstance(value, str):
            return self.redact_text(value)
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, bytes | bytearray):
            return self.redact_text(value.decode("utf-8", "backslashreplace"))
        if isinstance(value, Mapping):
            return {str(name): self._redact_named(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.redact(inner) for inner in value]
        return self.redact_text(str(value))

    def redact_text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        text = _USERINFO.sub(rf"\1{MASK}@", text)
        text = _PAIR.sub(_mask_pair, text)
        text = _SCHEME.sub(rf"\1 {MASK}", text)
        text = _OWN_KEYS.sub(rf"\1_{MASK}", text)
        return _JWT.sub(MASK, text)

    def _redact_named(self, name: str, value: Any) -> Any:
        if _SECRET_NAME.search(name) and not (value is None or isinstance(value, bool | int | float)):
            return MASK
        return self.redact(value)


def _mask_pair(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return f"{found['name']}{quote}{MASK}{quote}"


def _parts(secret: str) -> set[str]:
    """A secret address is recognised by its password too. What is shorter than 8 would be found in innocent words."""
    parts = {secret}
    if "://" in secret:
        try:
            password = urlsplit(secret).password
        except ValueError:
            password = None
        # The address without a password is no secret: redis://cache stands in many a message.
        parts = {secret, password, unquote(password)} if password else set()
    return {part for part in parts if len(part) >= 8}
