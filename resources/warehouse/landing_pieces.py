"""Which parts of the landed files a load has to read, and how much of it goes into one transaction."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from platform_assets.contracts.landing import LandingFile
from resources.warehouse.spans import Span, merge, subtract

_BEFORE_ALL = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Piece:
    """The part of a file that has not been loaded."""

    file: LandingFile
    span: Span


def missing_pieces(files: Sequence[LandingFile], loaded: Mapping[tuple[str, int], Sequence[Span]]) -> list[Piece]:
    """What of the files is not in the warehouse; an offset that stands in two files is in one piece only."""
    pieces: list[Piece] = []
    covered = dict(loaded)
    for file in files:
        place = (file.log, file.partition)
        missing = subtract((file.first, file.last), covered.get(place, ()))
        if missing:
            pieces.extend(Piece(file, span) for span in missing)
            # Kept merged: thousands of files would be compared with each other otherwise.
            covered[place] = merge([*covered.get(place, ()), *missing])
    return pieces


def in_batches(pieces: Sequence[Piece], root: Path, *, first_by: str, batch_bytes: int) -> list[list[LandingFile]]:
    """The files of the pieces, in batches of so many bytes, each of at least one file.

    Where one batch does not hold them, they go in the order in which their first records came, read from the footers:
    of rows with one key the first that is loaded stays, and that is to be the first that came.
    """
    files = list(dict.fromkeys(piece.file for piece in pieces))
    sizes = {file: (root / file.path).stat().st_size for file in files}
    if sum(sizes.values()) > batch_bytes:
        came = {file: _first_value(root / file.path, first_by) for file in files}
        files.sort(key=lambda file: (came[file], file))
    batches: list[list[LandingFile]] = []
    filled = batch_bytes
    for file in files:
        if filled + sizes[file] > batch_bytes:
            batches.append([])
            filled = 0
        batches[-1].append(file)
        filled += sizes[file]
    return batches


def _first_value(path: Path, column: str) -> dt.datetime:
    """The smallest value of a column by the file's footer (0.3 ms); before all others where it is not told."""
    footer = pq.read_metadata(path)
    position = footer.schema.names.index(column)
    groups = (footer.row_group(number).column(position).statistics for number in range(footer.num_row_groups))
    return min((group.min for group in groups if group is not None and group.has_min_max), default=_BEFORE_ALL)
