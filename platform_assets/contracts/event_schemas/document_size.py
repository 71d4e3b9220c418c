"""Can a schema be written down at all? Its annotations may hold what nothing else looks at."""

from typing import Any

import msgspec

from platform_assets.contracts.event_schemas.keywords import MAX_JSON_DEPTH, MAX_SCHEMA_BYTES, Fault


def faults_of_size(document: Any) -> list[Fault]:
    """What is too deep, too large or no JSON about a document; none where nothing is."""
    if _is_deeper(document, MAX_JSON_DEPTH):
        return [Fault("#", f"its JSON nests deeper than {MAX_JSON_DEPTH} levels", "make its annotations flatter")]
    try:
        size = len(msgspec.json.encode(document))
    except (OverflowError, UnicodeEncodeError):
        return [Fault("#", "an annotation cannot be written as JSON", "use ordinary numbers and text in it")]
    if size > MAX_SCHEMA_BYTES:
        return [Fault("#", f"it has more than {MAX_SCHEMA_BYTES:,} bytes", "leave parts of the payload open")]
    return []


def _is_deeper(document: Any, levels: int) -> bool:
    # Level by level: a function that calls itself would end at the interpreter's limit.
    parts = [document]
    for _ in range(levels):
        parts = [
            child
            for part in parts
            if isinstance(part, dict | list)
            for child in (part.values() if isinstance(part, dict) else part)
        ]
    return bool(parts)
