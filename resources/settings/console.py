"""The one terminal that every command writes to: results on stdout, everything else on stderr."""

import json
from collections.abc import Sequence

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout. The last column is never cut, so what may be long stands there."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header) - 1)]
    for row in (header, *rows):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        out.print("  ".join([*padded, row[-1]]).rstrip(), markup=False)


def printable(text: str) -> str:
    """One line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
