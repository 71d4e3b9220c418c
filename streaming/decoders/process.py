"""One process that decodes, as the worker sees it.

    process = DecoderProcess(schemas_dir, land=True)
    process.start()
    process.lanes[0].decode(batches, log, now)     # as `decode_events_together`, on another core
    process.close()

A process has two lanes, each for one thread: while the answer of one is read, it decodes what came on the other. It
keeps no state: batches that were lost with it are decoded again from the records, which the worker still has.
"""

import datetime as dt
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from resources.settings.variables import without_settings
from streaming.decoders.column_transfer import read_events, write_records
from streaming.decoders.serving import ANSWER, NO_ROOM, READY, REQUEST, Endpoint
from streaming.decoders.shared_area import SharedArea
from streaming.decoding import DecodedBatch, by_batch, values_of
from streaming.record_batch import RecordBatch

LANES = 2
# 10,000 events of 356 bytes take 3.6 MB, their columns 1.6.
AREA_BYTES = 16 << 20
START_PATIENCE_S = 30.0
# For 10,000 events, which take 20 ms.
PATIENCE_S = 10.0
_END_PATIENCE_S = 2.0


class DecoderGone(RuntimeError):
    """The process has ended, or does not answer and was ended."""


class DecoderLane:
    """One way to a process; all calls come from one thread."""

    def __init__(self, end: Endpoint, process: "subprocess.Popen[bytes]", *, land: bool) -> None:
        self._end = end
        self._process = process
        self._land = land

    def wait_until_ready(self, patience_s: float) -> None:
        """Return when the process takes requests, which then have so long; raises DecoderGone."""
        self._end.channel.settimeout(START_PATIENCE_S)
        self._received(len(READY))
        self._end.channel.settimeout(patience_s)

    def decode(self, batches: Sequence[RecordBatch], log: str, now: dt.datetime) -> list[DecodedBatch] | None:
        """As `decode_events_together`; None where the records or their columns take more room than there is.

        Raises:
            DecoderGone: nothing of these batches was decoded, and the process is no more.
        """
        values = values_of(batches)
        size = write_records(values, self._end.area.bytes)
        if size is None:
            return None
        try:
            self._end.channel.sendall(REQUEST.pack(size))
        except OSError as error:
            self._give_up(error)
        answer = ANSWER.unpack(self._received(ANSWER.size))
        if answer == NO_ROOM:
            return None
        found = read_events(self._end.area.bytes, answer, values)
        return by_batch(batches, log, now, found, land=self._land)

    def close(self) -> None:
        """Give its memory back."""
        self._end.channel.close()
        self._end.area.close()

    def _received(self, size: int) -> bytes:
        try:
            received = self._end.channel.recv(size, socket.MSG_WAITALL)
        except OSError as error:
            self._give_up(error)
        if len(received) < size:
            self._give_up(ConnectionError("it has ended"))
        return received

    def _give_up(self, error: OSError) -> NoReturn:
        # It could still answer, and whoever waits on another lane would go on waiting.
        self._process.kill()
        raise DecoderGone(f"The decoder process does not answer: {error}") from error


class DecoderProcess:
    """One process, started and closed by one thread at a time."""

    def __init__(
        self, schemas_dir: Path, *, land: bool, area_bytes: int = AREA_BYTES, patience_s: float = PATIENCE_S
    ) -> None:
        """`land` as for `decode_events_together`; a request or an answer has room for `area_bytes`."""
        self.lanes: Sequence[DecoderLane] = ()
        self._schemas_dir = schemas_dir
        self._land = land
        self._area_bytes = area_bytes
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, from its start until it is closed."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Return when it is ready, a quarter of a second later; raises DecoderGone."""
        command = [sys.executable, "-m", "streaming.decoders", *(["--land"] if self._land else [])]
        command += ["--area-bytes", str(self._area_bytes), "--schemas", str(self._schemas_dir)]
        ends: list[Endpoint] = []
        inherited: list[int] = []
        with ExitStack() as theirs:
            for _ in range(LANES):
                ours, channel = socket.socketpair()
                theirs.enter_context(channel)
                ends.append(Endpoint(ours, SharedArea.new(self._area_bytes)))
                descriptors = [channel.fileno(), ends[-1].area.descriptor]
                inherited += descriptors
                command += ["--lane", *map(str, descriptors)]
            # In a session of its own: Ctrl-C is for the worker, which still has batches to decode then.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=inherited,
                start_new_session=True,
                env=_environment(),
            )
        self.lanes = [DecoderLane(end, self._process, land=self._land) for end in ends]
        try:
            for lane in self.lanes:
                lane.wait_until_ready(self._patience_s)
        except DecoderGone:
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one; none of its lanes may be in use."""
        for lane in self.lanes:
            lane.close()
        self.lanes = ()
        process, self._process = self._process, None
        if process is not None:
            try:
                process.wait(_END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment() -> dict[str, str]:
    """Ours without the platform's settings, some of which are secrets; what is imported is found where we found it."""
    return without_settings(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
