"""One connection of a process, after its hello."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any
from uuid import uuid4

import orjson
import structlog
from websockets.exceptions import ConnectionClosed

from link import metrics
from link.wire.closing import CloseCode
from link.wire.connection import ControlConnection
from link.wire.frames import Hello, HelloCharger
from link.wire.pace import Pace

log = structlog.get_logger(__name__)

SEND_TIMEOUT_S = 20.0
MAX_UNSENT_CHARACTERS = 8 * 1024 * 1024
FRAMES_PER_S = 50.0  # of a process; each of its chargers adds a tenth, of a host also one that does not run
FRAMES_AT_ONCE = 200.0


class Session:
    """Sends without waiting, in order. Costs no task while nothing is sent."""

    def __init__(self, connection: ControlConnection, hello: Hello) -> None:
        self.id = uuid4().hex
        self.process_id = hello.process_id
        self.boot_id = hello.boot_id
        self.is_of_host = hello.is_of_host
        self.chargers: dict[str, HelloCharger] = {
            each.charger_id: each for each in hello.chargers
        }  #: running
        #: Of a host: the chargers that the rows give it, running or not, with the newest generation of each that was read.
        #: It may speak for no others.
        self.placed: dict[str, int] = {}
        #: Of a host: the chargers of its hello that the rows do not give it.
        self.strangers: set[str] = set()
        self.has_named_others = False  #: a frame named a charger that is not the host's, and the log says so
        #: Of the specification that each charger was sent, or said it has.
        self.revisions: dict[str, int] = {}
        self.has_row = False  #: the database has taken it
        self.token_sent_at = monotonic()
        self.pace = Pace(self._frames_per_s(), FRAMES_AT_ONCE)
        self._connection = connection
        self._unsent: deque[str] = deque()
        self._unsent_characters = 0
        self._sending: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def unsent_characters(self) -> int:
        """Of the frames that the process has not taken yet."""
        return self._unsent_characters

    def may_name(self, charger_id: str) -> bool:
        """Whether the process may speak for the charger, whether it runs or not."""
        return charger_id in self.placed if self.is_of_host else charger_id == self.process_id

    def specified(self, charger_ids: Iterable[str]) -> list[str]:
        """Those of the chargers that run here, or that the process was sent to start."""
        return [each for each in charger_ids if each in self.chargers or each in self.revisions]

    def add_charger(self, charger: HelloCharger) -> None:
        """The charger runs in the process, or has started anew."""
        self.chargers[charger.charger_id] = charger
        self.pace.per_s = self._frames_per_s()

    def remove_charger(self, charger_id: str) -> None:
        """The charger does not run in the process any more. Safe to repeat."""
        self.chargers.pop(charger_id, None)
        self.pace.per_s = self._frames_per_s()

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send the frame after those that were given before. Returns at once and never raises."""
        if self._ending is not None:
            return
        raw = orjson.dumps(frame).decode()
        self._unsent.append(raw)
        self._unsent_characters += len(raw)
        if self._unsent_characters > MAX_UNSENT_CHARACTERS:
            self.end(CloseCode.TOO_MUCH, "the process does not read what it is sent")
        elif self._sending is None:
            self._sending = asyncio.create_task(self._send_all())

    def end(self, code: CloseCode, reason: str) -> asyncio.Task[None]:
        """Close the connection. Returns at once, with the task that does it; the first call counts."""
        if self._ending is None:
            log.info(
                "control.closing", process_id=self.process_id, session=self.id, code=int(code), reason=reason
            )
            metrics.CLOSED.labels(int(code)).inc()
            self._ending = asyncio.create_task(self._end(code, reason))
        return self._ending

    def _frames_per_s(self) -> float:
        return FRAMES_PER_S + max(len(self.chargers), len(self.placed)) / 10

    async def _send_all(self) -> None:
        try:
            while self._unsent:
                raw = self._unsent.popleft()
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._connection.send(raw)
                self._unsent_characters -= len(raw)
        except ConnectionClosed:
            pass
        except TimeoutError:
            self._connection.transport.abort()  # it takes nothing, not even a close frame
        finally:
            self._sending = None

    async def _end(self, code: CloseCode, reason: str) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._connection.close(code, reason)
        except TimeoutError:
            self._connection.transport.abort()
