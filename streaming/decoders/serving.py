"""What a process that decodes does: it answers the requests of one worker, and ends when that does."""

import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streaming.decoders.shared_area import SharedArea
from streaming.interpreter import collect_rarely, go_without_pandas
from streaming.process_memory import hand_back_free_memory

REQUEST = struct.Struct("<q")
"""Bytes of records that wait in the lane's area."""
ANSWER = struct.Struct("<qqq")
"""The `Size` of what stands there instead; `NO_ROOM` where it does not fit."""
NO_ROOM = (-1, 0, 0)
READY = b"ready"


@dataclass(frozen=True)
class Endpoint:
    """One end of a lane: the channel and the memory that its messages are about. One request is under way on it."""

    channel: socket.socket
    area: SharedArea


def serve(ends: Sequence[Endpoint], schemas_dir: Path, *, land: bool) -> None:
    """Answer the requests of all lanes, one at a time, until the worker closes its end of a channel."""
    go_without_pandas()
    # After it: Arrow looks for pandas.
    from platform_assets.contracts.windows import WINDOWS
    from resources.event_schemas.folder import SchemaFolder
    from resources.event_schemas.in_force import WatchedSchemas
    from streaming.decoders.column_transfer import read_records, write_events
    from streaming.event_decoding import decode_records

    schemas = WatchedSchemas(SchemaFolder(schemas_dir))
    decode_records([], land=land)
    collect_rarely()
    hand_back_free_memory()
    areas = {end.channel: end.area for end in ends}
    for channel in areas:
        channel.sendall(READY)
    while True:
        for channel in select.select(list(areas), [], [])[0]:
            request = channel.recv(REQUEST.size, socket.MSG_WAITALL)
            if not request:
                return
            area = areas[channel].bytes
            values = read_records(area[: REQUEST.unpack(request)[0]])
            found = decode_records(values, land=land, schemas=schemas.newest(), definitions=WINDOWS)
            size = write_events(*found, area)
            channel.sendall(ANSWER.pack(*(size or NO_ROOM)))
