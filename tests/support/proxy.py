"""A TCP proxy on loopback whose line can be cut, frozen or slow, for tests of its clients."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from embedded.ports import HOST

CHUNK_BYTES = 65_536
TURNS = 20  # of the loop: asyncio closes a socket some turns after its transport was closed


class TcpProxy:
    """Forwards `port` to a port behind it. Every method may be called from any thread."""

    def __init__(self, upstream_port: int) -> None:
        self.delay_s = 0.0  #: before each chunk is handed on, either way
        self._upstream_port = upstream_port
        self._is_refused: Callable[[int], bool] | None = None
        self._writers: dict[asyncio.StreamWriter, int] = {}  #: with the port of their client
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, HOST, 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.heal()

    def cut(self, of: Callable[[int], bool] = lambda _: True) -> None:
        """End the connections of the clients whose local port is one of these, and refuse new ones: all, if it is not said."""
        self._is_refused = of
        self._call(lambda: self._end_connections(of))

    def freeze(self) -> None:
        """Take everything and hand on nothing, as a host does that hangs."""
        self._call(self._flowing.clear)

    def heal(self) -> None:
        """What was frozen flows on; what was cut may come again."""
        self._is_refused = None
        self.delay_s = 0.0
        self._call(self._flowing.set)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            self._end_connections(lambda _: True)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._turns()  # what was closed is closed

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        self._writers[writer] = port
        try:
            if self._is_refused is not None and self._is_refused(port):
                return
            upstream_reader, upstream_writer = await asyncio.open_connection(HOST, self._upstream_port)
            self._writers[upstream_writer] = port
            try:
                await asyncio.gather(self._pump(reader, upstream_writer), self._pump(upstream_reader, writer))
            finally:
                self._writers.pop(upstream_writer, None)
                upstream_writer.close()
        except (OSError, asyncio.CancelledError):
            pass  # either side has gone: so does the other. Or the proxy is closed
        finally:
            self._writers.pop(writer, None)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await self._flowing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError

    async def _turns(self) -> None:
        """Let the loop do what is due, and what follows from it."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def _end_connections(self, of: Callable[[int], bool]) -> None:
        for writer in [writer for writer, port in self._writers.items() if of(port)]:
            with contextlib.suppress(RuntimeError):
                writer.transport.abort()

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        self._do(call())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
