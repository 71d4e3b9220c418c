"""The fields of a form's body."""

from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 10


def is_form(content_type: str | None) -> bool:
    """Whether a Content-Type says that the body is a form."""
    return (content_type or "").partition(";")[0].strip().lower() == FORM


def read_form(body: bytes) -> dict[str, str]:
    """The fields by name. One that comes twice has no one value and is left out, as if it had not been sent.

    Raises:
        ValueError: no form, not UTF-8, or more fields than any form of ours has.
    """
    pairs = parse_qsl(
        body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
    )
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}
