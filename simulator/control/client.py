"""Keeps the control link open, for all chargers of the process. Whatever happens to it, the chargers run on."""

import asyncio
import json
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Never

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.control.connection import SOON, TAKEN, Away, Waits, explain_end, open_control
from simulator.control.frames import BadFrame, Frame, TooBig, batch, parse_frame, parts_of
from simulator.control.host import Host
from simulator.control.hosted import Hosted, Spec
from simulator.control.memories import Memories, with_secrets
from simulator.control.performer import Performer
from simulator.control.reports import Reports
from simulator.control.settings import ControlSettings
from simulator.flag import Flag
from simulator.link.websocket import retry_delays
from simulator.log import EventLog
from simulator.together import run_together
from simulator.versions import RELEASE

#: How long an action may wait for its charger to begin, if the link does not say.
DEFAULT_EXPIRY_S = 30.0

#: From the hello to the welcome.
WELCOME_TIMEOUT_S = 20.0

#: After which the link knows that an earlier boot of the process has gone without a word: two pings.
GONE_S = 45.0

#: A session of at least this length makes the waits short again: a link that closes each at once is not called without end.
STEADY_S = 5.0

#: A host waits so long between two sends: what its chargers say meanwhile goes in the same frames, of which the link
#: reads 50 per second and a tenth for each charger.
GATHER_S = 0.03

#: What the last words of one charger may take: its process ends within 5 s of SIGTERM.
CLOSE_S = 0.5


class ControlClient:
    """One per process. Nothing of it grows with the number of chargers but what it knows of each."""

    def __init__(
        self, settings: ControlSettings, log: EventLog, *, host: Host | None = None, haste: float = 1.0
    ) -> None:
        """`host` is there in a process whose chargers come and go. `haste`: by what the waits before a reconnect are divided."""
        self._settings = settings
        self._log = log
        self._haste = haste
        self._host = host
        self._chargers: dict[str, Hosted] = {}
        self._retired: dict[
            str, Hosted
        ] = {}  #: of those: are off, and the link has not heard their last words
        self._boot = secrets.token_hex(8)
        self._session_token: str | None = None
        self._socket: ClientConnection | None = None
        self._due = Flag()
        self._performer = Performer(self._chargers, self._due.set)
        self._reports = Reports(self._due.set)
        self._memories = Memories(self._due.set, waits=host is not None)
        self._delays: dict[Waits, Iterator[float]] = {}
        self._is_taken = False  #: an earlier boot of this process is connected
        self._was_welcome = False  #: in the newest session
        self._said = ""  #: why the link is away, as it was logged
        self._takers: dict[str, Callable[[Frame], object]] = {
            "actions": self._take_action,
            "specs": self._take_spec,
            "token": self._take_token,
        }
        if host is not None:
            self._takers["desired"] = host.take_desired
        log.hide(settings.token, always=True)

    def add(self, hosted: Hosted) -> None:
        """From now on the link has to do with this charger, in place of an earlier one with its id."""
        self._retired.pop(hosted.id, None)
        self._chargers[hosted.id] = hosted
        hosted.on_changed = self._reports.note
        hosted.on_memory = self._memories.note
        hosted.on_begun = self._performer.resume
        if hosted.charge_point is not None:
            self._reports.note(hosted)
            self._memories.note(hosted)

    def retire(self, hosted: Hosted) -> None:
        """The charger is off. The link still gets what it remembers and what came of its actions, in the next session if need be."""
        self._retired[hosted.id] = hosted
        self._performer.resume(hosted)
        self._memories.hasten(hosted)
        self._due.set()

    def remove(self, hosted: Hosted) -> None:
        """Nothing more is said of this charger; a repeat is safe."""
        if self._chargers.get(hosted.id) is hosted:
            del self._chargers[hosted.id]
            self._retired.pop(hosted.id, None)
            self._performer.drop(hosted.id)
            self._reports.drop(hosted.id)
            self._memories.drop(hosted.id)

    def prompt(self) -> None:
        """The host has something to say."""
        self._due.set()

    async def run(self) -> Never:
        """Connects, and connects again, until it is cancelled. Raises nothing."""
        while True:
            away = await self._connect_and_hold()
            self._is_taken = away.code == TAKEN and not self._was_welcome
            if self._host is not None and self._is_taken:
                self._host.give_way()
            if self._said != str(away):
                self._said = str(away)
                self._log.remark("warning", f"the control link is away: {away}")
            if away.is_bad_token and self._session_token:
                self._session_token = None  # the first token is good for a hello at any time
                continue
            # A session that ends as taken does not say by whom: the answer to the next hello does.
            waits = SOON if self._was_welcome and away.code == TAKEN else away.waits
            delays = self._delays.setdefault(waits, retry_delays(waits))
            await asyncio.sleep(next(delays) / self._haste)

    async def welcome(self, hosted: Hosted, within_s: float) -> bool:
        """Whether the link has welcomed the charger by then.

        Waits longer while an earlier boot of the process is still connected: the link has its last memory only later.
        """
        for limit_s in (within_s, GONE_S / self._haste):
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    return await hosted.welcomed.wait()
            if not self._is_taken:
                break
        return False

    async def is_heard(self, within_s: float) -> bool:
        """Whether the link answers in the session that there is: then no other process has taken this one's place."""
        socket = self._socket
        if socket is not None:
            with suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(within_s):
                    await (await socket.ping())
                    return True
        return False

    async def close(self, within_s: float = CLOSE_S) -> None:
        """The last words: what came of the actions, the states and the memories."""
        self._performer.close()
        for hosted in self._chargers.values():
            self._memories.hasten(hosted)
        socket = self._socket
        if socket is not None:
            with suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(within_s):
                    await self._send_due(socket)
                    await socket.close(1001, "switched off")

    async def _connect_and_hold(self) -> Away:
        """Returns why the link is away."""
        self._was_welcome = False
        try:
            socket = await open_control(self._settings, self._session_token or self._settings.token)
            await self._hold(socket)
            return Away("the session ended")
        except Away as away:
            return away
        except ConnectionClosed as closed:
            return explain_end(closed)
        except TimeoutError:
            return Away("it took nothing, or did not answer, in time")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return Away(f"{error!r} in {place.name}, {place.filename}:{place.lineno}")
        finally:
            self._socket = None
            self._reports.stop()
            self._performer.end_session()

    async def _hold(self, socket: ClientConnection) -> None:
        """From the hello to the end of the connection. Raises what ended it."""
        try:
            await socket.send(json.dumps(self._hello()))
            async with asyncio.timeout(WELCOME_TIMEOUT_S):
                welcome = parse_frame(await socket.recv())
            self._take_welcome(welcome)
            self._was_welcome = True
            self._socket = socket
            await self._talk(socket)
        finally:
            await socket.close()

    async def _talk(self, socket: ClientConnection) -> None:
        """Until the connection ends. Raises what ended it."""
        began_s = time.monotonic()
        try:
            await run_together(self._receive(socket), self._send(socket), ends=(ConnectionClosed,))
        finally:
            if time.monotonic() - began_s > STEADY_S / self._haste:
                self._delays.clear()

    def _hello(self) -> Frame:
        chargers = [
            {
                "charger": hosted.id,
                "boot": hosted.boot,
                "spec": hosted.spec_revision,
                "has_memory": hosted.has_memory,
            }
            for hosted in self._chargers.values()
        ]
        hello = {
            "type": "hello",
            "process": self._settings.process_id,
            "boot": self._boot,
            "version": RELEASE,
            "chargers": chargers,
        }
        return hello if self._host is None else hello | {"capacity": self._host.capacity}

    def _take_welcome(self, frame: Frame) -> None:
        """Raises Away for anything else."""
        if frame["type"] != "welcome":
            raise Away(f"it answered the hello with {frame['type'][:40]!r}")
        self._session_token = frame["token"]
        for each in frame["chargers"]:
            hosted = self._chargers.get(each["charger"])
            if hosted is not None:
                _welcome(hosted, each)
        if self._said:
            self._said = ""
            self._log.remark("info", "the control link is back")
        self._reports.start(self._chargers.values())
        for hosted in self._chargers.values():
            self._memories.note(hosted)
        for hosted in self._retired.values():
            self._memories.hasten(hosted)
        if self._host is not None:
            self._host.begin_session()

    async def _receive(self, socket: ClientConnection) -> Never:
        while True:
            text = await socket.recv()
            for kind, part in self._read(text):
                self._take(kind, part)
                await asyncio.sleep(0)  # the chargers' CSMSs have their turn

    def _read(self, text: str | bytes) -> list[tuple[str, Frame]]:
        try:
            return parts_of(parse_frame(text))
        except BadFrame as error:
            self._log.remark("warning", f"the control link: {error}")
            return []

    def _take(self, kind: str, part: Frame) -> None:
        """What this release does not know is ignored: the link may be newer. So is what is wrong."""
        taker = self._takers.get(kind)
        try:
            if taker is None:
                raise BadFrame(f"frames of type {kind[:40]!r} are not known")
            taker(part)
        except (LookupError, TypeError, ValueError) as error:
            self._log.remark("warning", f"the control link sent what is ignored: {error!r}"[:500])

    def _take_action(self, action: Frame) -> None:
        expires_in_s = float(action.get("expires_in_s", DEFAULT_EXPIRY_S))
        self._performer.perform(
            action["charger"], action["id"], action["name"], action["event"], expires_in_s
        )

    def _take_spec(self, part: Frame) -> None:
        spec = read_spec(part["spec"])
        hosted = self._chargers.get(part["charger"])
        if self._host is not None:
            self._host.take_specification(str(part["charger"]), spec)
        elif hosted is not None:
            hosted.spec = spec
            hosted.attempt(partial(hosted.on_spec, spec))

    def _take_token(self, frame: Frame) -> None:
        self._session_token = frame["token"]

    async def _send(self, socket: ClientConnection) -> Never:
        while True:
            await self._due.wait()
            self._due.clear()
            await self._send_due(socket)
            if self._host is not None:
                await asyncio.sleep(GATHER_S)

    async def _send_due(self, socket: ClientConnection) -> None:
        """The states go before the results: whoever learns what came of an action finds what it changed.

        That a charger runs goes before all that it says, and that it does not run goes after that.
        """
        retired = list(self._retired.values())
        observed = self._host.take_observed() if self._host is not None else []
        sources: list[tuple[str, Callable[[], Iterable[Frame]]]] = [
            ("observed", lambda: [each for each in observed if each["running"]]),
            ("states", self._reports.take),
            ("results", self._performer.take),
            ("memories", self._memories.take),
            ("observed", lambda: [each for each in observed if not each["running"]]),
        ]
        for kind, take in sources:
            try:
                for text in batch(kind, take()):
                    await socket.send(text)
                    await asyncio.sleep(0)  # the chargers have their turn
            except TooBig as error:
                self._log.remark("warning", f"not sent over the control link: {error}")
        report = self._host.take_report() if self._host is not None else None
        if report is not None:
            await socket.send(json.dumps(report))
        for hosted in retired:
            if hosted.id in self._retired:
                self.remove(hosted)


def _welcome(hosted: Hosted, frame: Frame) -> None:
    """Before the first welcome the charger has not begun: it takes from here what it is and remembers."""
    spec = frame.get("spec")
    if spec is not None:
        hosted.spec = read_spec(spec)
    if not hosted.has_memory:
        hosted.memory = with_secrets(frame.get("memory"))
    if hosted.spec is not None and spec is not None:
        hosted.attempt(partial(hosted.on_spec, hosted.spec))
    hosted.welcomed.set()


def read_spec(spec: Frame) -> Spec:
    """Raises LookupError, TypeError or ValueError."""
    environment = spec["environment"]
    return Spec(int(spec["revision"]), {str(name): str(value) for name, value in environment.items()})
