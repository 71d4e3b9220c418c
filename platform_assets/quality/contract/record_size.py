"""How many bytes a row's record has on the log, as the door writes it."""

from platform_assets.contracts.events import ENVELOPE_FIELDS

RECORD_FRAME_BYTES = 2 + sum(len(name) + 3 for name in ENVELOPE_FIELDS) + len(ENVELOPE_FIELDS) - 1
"""Braces, and the fields' names with quotes, colon and the commas between them."""
NULL_BYTES = len("null")
TIME_BYTES = len('"2026-11-23T12:00:00Z"')
FRACTION_BYTES = len(".000001")
