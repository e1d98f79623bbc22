"""Keeps the chargers of a host as the control link says: which run, since when, and by which specification."""

import asyncio
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from simulator.charge_point.memory import UNUSABLE
from simulator.control.frames import Frame
from simulator.control.hosted import Hosted, Spec, new_boot
from simulator.host.admission import Handshakes, new_pace
from simulator.host.desired import Desired, read_desired
from simulator.host.kept import Kept
from simulator.life import Life
from simulator.lifecycle import Crashed, Terms
from simulator.log import EventLog
from simulator.settings import BadSettings
from simulator.specification import specified

#: Chargers that have left, whose last generation is known: an entry that comes late starts none of them again.
MAX_REMOVED = 10_000

#: By charger and boot.
NewLog = Callable[[str, str], EventLog]


class Link(Protocol):
    """The control link, as a charger comes and goes."""

    def add(self, hosted: Hosted) -> None: ...

    def retire(self, hosted: Hosted) -> None: ...

    def remove(self, hosted: Hosted) -> None: ...

    def prompt(self) -> None: ...


class Keeper:
    def __init__(self, environ: Mapping[str, str], capacity: int, new_log: NewLog, link: Link) -> None:
        """`capacity` is how many chargers may run. `environ` is what each has beside its specification."""
        self.capacity = capacity
        self._turnover = 0  #: starts and ends so far
        self._environ = environ
        self._new_log = new_log
        self._link = link
        self._handshakes = Handshakes()
        self._terms = Terms(restarts=False, connecting=self._handshakes)
        self._pace = new_pace()
        self._kept: dict[str, Kept] = {}
        self._removed: OrderedDict[str, int] = OrderedDict()
        self._begun: set[str] = set()  #: those that run or may begin
        self._without_room: OrderedDict[str, Kept] = OrderedDict()  #: the one that waits longest first
        self._observed: dict[str, Frame] = {}
        self._is_ending = False

    def take(self, entry: Frame) -> None:
        """What a charger shall be; of a generation that is known already, or an older one, a repeat is safe.

        Raises LookupError, TypeError or ValueError for an entry that is wrong.
        """
        if self._is_ending:
            return
        charger_id, desired = str(entry["charger"]), read_desired(entry)
        kept = self._kept.get(charger_id) or Kept(charger_id)
        known = max(kept.desired.generation, self._removed.get(charger_id, -1))
        if 0 < desired.generation < known:
            self._observe(kept)
            return
        self._kept[charger_id] = kept
        self._take(kept, desired)

    def take_specification(self, charger_id: str, spec: Spec) -> None:
        """Another specification of a charger, whether it runs or not. A repeat, or an older one, changes nothing."""
        kept = self._kept.get(charger_id)
        if kept is not None and not self._is_ending:
            self._take(kept, replace(kept.desired, spec=spec, memory=None))

    def _take(self, kept: Kept, desired: Desired) -> None:
        if kept.follow(desired):
            self._follow(kept)
        if kept.task is None:
            if desired.is_on and kept.fault is None:
                kept.task = asyncio.create_task(self._keep(kept))
            elif not desired.is_on:
                self._finish(kept)
        self._observe(kept)

    def take_observed(self) -> list[Frame]:
        """What has become of chargers since the last call; of each the newest."""
        observed, self._observed = self._observed, {}
        return list(observed.values())

    def give_way(self) -> None:
        """Ends all chargers at once and drops what was desired: another process runs them. A repeat is safe."""
        self._observed.clear()
        self._removed.clear()
        for kept in list(self._kept.values()):
            if kept.hosted is not None:
                self._link.remove(kept.hosted)
            kept.cut()
            if kept.task is None:
                del self._kept[kept.id]

    def hold(self) -> None:
        """No charger connects to its CSMS before `allow`: another process may run it. A repeat is safe."""
        self._handshakes.hold()

    def allow(self) -> None:
        """A repeat is safe."""
        self._handshakes.allow()

    async def close(self, within_s: float) -> None:
        """Switches all chargers off in order. Their CSMSs have so long to take their last words."""
        self._is_ending = True
        tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
        for kept in self._kept.values():
            kept.changed.set()
            if kept.life is not None:
                kept.life.stop(within_s)
        if tasks:
            await asyncio.wait(tasks, timeout=within_s + 5.0)

    @property
    def changes(self) -> int:
        """Starts, ends and attempts to connect so far."""
        return self._turnover + self._handshakes.attempts

    def running(self) -> Iterator[Hosted]:
        """The chargers that run."""
        return (kept.hosted for kept in self._kept.values() if kept.hosted is not None)

    def log_of(self, charger_id: str) -> EventLog | None:
        """None for a charger that does not run."""
        kept = self._kept.get(charger_id)
        hosted = kept.hosted if kept else None
        return hosted.log if hosted else None

    def _follow(self, kept: Kept) -> None:
        """Something else is desired."""
        kept.fault = None
        kept.changed.set()
        if kept.life is None or kept.hosted is None:
            return
        if kept.is_outdated:
            kept.stop()
        elif kept.spec is not None and kept.spec is not kept.hosted.spec:
            kept.hosted.spec = kept.spec
            kept.hosted.attempt(partial(kept.life.take_specification, kept.spec))

    async def _keep(self, kept: Kept) -> None:
        """Until the charger is off as desired, or stays down; then `task` is None."""
        while kept.desired.is_on and not self._is_ending:
            kept.changed.clear()
            if kept.id not in self._begun and len(self._begun) >= self.capacity:
                self._fail(kept, f"the host has room for {self.capacity} chargers, and all of it is taken")
                self._without_room[kept.id] = kept
                await kept.changed.wait()
                continue
            self._without_room.pop(kept.id, None)
            self._begun.add(kept.id)
            await kept.pause(self._pace.take())
            if kept.changed.is_set():
                continue
            wait_s = await self._run(kept)
            if wait_s is None:
                break
            await kept.pause(wait_s)
        self._leave_room(kept)
        kept.task = None
        if kept.desired.generation < 0:
            self._kept.pop(kept.id, None)
        elif not kept.desired.is_on:
            self._finish(kept)

    async def _run(self, kept: Kept) -> float | None:
        """One start, to its end. Returns the seconds until the next one that may be; None: there is none."""
        try:
            await self._live(kept)
        except BadSettings as error:
            self._fail(kept, str(error))
            return None
        except Exception as error:
            return self._crash(kept, error)
        return 0.0

    async def _live(self, kept: Kept) -> None:
        """Raises BadSettings, or what the charger failed by."""
        if kept.spec is None:
            raise BadSettings("it has no specification")
        boot = new_boot()
        log = self._new_log(kept.id, boot)
        hosted = Hosted(kept.id, log, boot)
        hosted.spec, hosted.spec_revision = kept.spec, kept.spec.revision
        hosted.memory, hosted.has_memory = kept.memory, True
        life = Life(self._environ, log, hosted, self._terms)
        life.settings = specified(self._environ, kept.spec.environment)
        hosted.on_begun = partial(self._begin, kept, life)
        kept.started = kept.desired.restart_generation
        try:
            await life.run("Watchdog" if kept.has_crashed else None)
        finally:
            if kept.life is life:
                self._end(kept, hosted)

    def _begin(self, kept: Kept, life: Life, hosted: Hosted) -> None:
        """The charger runs."""
        self._turnover += 1
        kept.life, kept.hosted = life, hosted
        kept.fault, kept.memory, kept.has_crashed = None, None, False
        self._link.add(hosted)
        self._observe(kept)

    def _end(self, kept: Kept, hosted: Hosted) -> None:
        """It does not run any more."""
        self._turnover += 1
        with suppress(*UNUSABLE):
            hosted.detach()
        kept.life = kept.hosted = None
        if not kept.is_cut:
            kept.memory, kept.has_run = hosted.memory, True
            kept.spec = hosted.spec
            self._link.retire(hosted)
        kept.is_ending = kept.is_cut = False

    def _crash(self, kept: Kept, error: Exception) -> float | None:
        kept.has_crashed = True
        wait_s = kept.crashes.note(asyncio.get_running_loop().time())
        self._fail(kept, f"it has crashed: {_explain(error)}", stays_down=wait_s is None)
        return wait_s

    def _fail(self, kept: Kept, fault: str, *, stays_down: bool = False) -> None:
        kept.fault = f"{fault}; it stays down" if stays_down else fault
        self._observe(kept)

    def _leave_room(self, kept: Kept) -> None:
        """For one of those that have found none."""
        self._begun.discard(kept.id)
        self._without_room.pop(kept.id, None)
        while self._without_room:
            _, other = self._without_room.popitem(last=False)
            if other.desired.is_on and other.task is not None:
                other.changed.set()
                return

    def _finish(self, kept: Kept) -> None:
        """It is off, as desired: says so, and removes one that leaves."""
        self._observe(kept)
        if kept.desired.leaves:
            del self._kept[kept.id]
            self._removed.pop(kept.id, None)
            if kept.desired.generation > 0:
                self._removed[kept.id] = kept.desired.generation
            if len(self._removed) > MAX_REMOVED:
                self._removed.popitem(last=False)

    def _observe(self, kept: Kept) -> None:
        """Says what has become of it, unless that is on its way. The new process of an ending host says more than this one."""
        if kept.is_settled and not self._is_ending:
            self._observed[kept.id] = kept.describe()
            self._link.prompt()


def _explain(error: Exception) -> str:
    if isinstance(error, Crashed):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{error!r} in {place.name}, {place.filename}:{place.lineno}"
