"""A TCP proxy on loopback whose line can be cut, frozen or slow, for tests of its clients."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from embedded.ports import HOST

CHUNK_BYTES = 65_536


class TcpProxy:
    """Forwards `port` to a port behind it. Every method may be called from any thread."""

    def __init__(self, upstream_port: int) -> None:
        self.delay_s = 0.0  #: before each chunk is handed on, either way
        self._upstream_port = upstream_port
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, HOST, 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.heal()

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        self._refusing = True
        self._call(self._end_connections)

    def freeze(self) -> None:
        """Take everything and hand on nothing, as a host does that hangs."""
        self._call(self._flowing.clear)

    def heal(self) -> None:
        """What was frozen flows on; what was cut may come again."""
        self._refusing = False
        self.delay_s = 0.0
        self._call(self._flowing.set)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            self._end_connections()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._refusing:
                return
            upstream_reader, upstream_writer = await asyncio.open_connection(HOST, self._upstream_port)
            self._writers.add(upstream_writer)
            try:
                await asyncio.gather(self._pump(reader, upstream_writer), self._pump(upstream_reader, writer))
            finally:
                self._writers.discard(upstream_writer)
                upstream_writer.close()
        except OSError:
            pass  # either side has gone: so does the other
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await self._flowing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError

    def _end_connections(self) -> None:
        for writer in self._writers:
            with contextlib.suppress(RuntimeError):
                writer.transport.abort()

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        self._do(call())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
