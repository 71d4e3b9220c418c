"""A TCP proxy between the clients and a broker that can cut, stall and slow what goes through it."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

from tests.conftest import free_port

_CHUNK_BYTES = 16 * 1024


class Proxy:
    """Listens on a port of its own, on a thread of its own. Every method may be called from the test's thread."""

    def __init__(self) -> None:
        self.port = free_port()
        self._target = 0
        self._delay_s = 0.0
        self._is_cut = False
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        self._call(self._set_flowing(True))

    def forward_to(self, port: int) -> None:
        """Where the broker listens."""
        self._target = port

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._is_cut = True
        self._call(self._reset_all())

    def stall(self) -> None:
        """Keep the connections and let nothing through, as a network that drops every packet."""
        self._call(self._set_flowing(False))

    def slow(self, delay_s: float) -> None:
        """Hold up every 16 KB in each direction for so long."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """Forward at once again."""
        self._is_cut = False
        self._delay_s = 0.0
        self._call(self._set_flowing(True))

    def close(self) -> None:
        """End the connections and the thread."""
        self.cut()
        self._server.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: "Coroutine[Any, Any, Any]") -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _set_flowing(self, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _reset_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._flowing.set()
        # The pumps see the end of their streams.
        while self._writers:
            await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, broker_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, broker_writer), self._pump(broker_reader, writer))
        finally:
            self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._flowing.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                writer.write(chunk)
                await writer.drain()
        writer.close()
