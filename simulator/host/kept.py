"""A charger of a host: what it shall be, and what there is of it."""

import asyncio
from contextlib import suppress

from simulator.charge_point.memory import State
from simulator.control.frames import Frame
from simulator.control.hosted import Hosted, Spec
from simulator.flag import Flag
from simulator.host.crashes import Crashes
from simulator.host.desired import Desired
from simulator.life import Life

#: Characters of the text that says why a charger does not run.
MAX_FAULT_LENGTH = 500


class Kept:
    def __init__(self, charger_id: str) -> None:
        self.id = charger_id
        self.desired = Desired()
        self.spec: Spec | None = None  #: the newest that came
        self.memory: State | None = None  #: that the next start begins with
        self.has_run = False  #: here: then its memory is newer than the link's
        self.life: Life | None = None  #: while it runs
        self.hosted: Hosted | None = None  #: the same
        self.started = 0  #: the restart_generation of the running start, or the last
        self.is_ending = False  #: what runs
        self.is_cut = False  #: and nothing of it counts: another process runs the charger
        self.has_crashed = False  #: and not started since
        self.fault: str | None = None  #: why it does not run although it should
        self.crashes = Crashes()
        self.changed = Flag()  #: something else is desired
        self.task: asyncio.Task[None] | None = None  #: that keeps it

    def follow(self, desired: Desired) -> bool:
        """Takes what is not older than what it has. Returns whether it is news."""
        if self.hosted is not None:
            self.spec = self.hosted.spec  # a newer one may have come by itself
        spec = desired.spec
        has_new_spec = spec is not None and (self.spec is None or spec.revision > self.spec.revision)
        if has_new_spec:
            self.spec = spec
        if not self.has_run and desired.memory is not None:
            self.memory = desired.memory
        is_new = has_new_spec or desired.generation != self.desired.generation
        self.desired = desired
        if is_new:
            self.crashes = Crashes()
        return is_new

    def stop(self) -> None:
        """Ends what runs, in order."""
        if self.life is not None:
            self.is_ending = True
            self.life.stop()

    def cut(self) -> None:
        """Drops all, and ends at once what runs."""
        self.desired, self.spec, self.memory, self.has_run = Desired(), None, None, False
        self.changed.set()
        if self.life is not None:
            self.is_ending = self.is_cut = True
            self.life.cut()

    @property
    def is_outdated(self) -> bool:
        """Whether what runs ends, or shall: it shall be off, or start again."""
        return self.is_ending or not self.desired.is_on or self.started < self.desired.restart_generation

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to happen for what is desired, or what happened has failed."""
        if self.life is not None:
            return not self.is_outdated
        return not self.desired.is_on or self.fault is not None

    async def pause(self, wait_s: float) -> None:
        """Ends early when something else is desired."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.changed.wait()

    def describe(self) -> Frame:
        """As the link gets it."""
        fault = self.fault if self.desired.is_on and self.life is None else None
        return {
            "charger": self.id,
            "generation": max(self.desired.generation, 0),
            "restart_generation": self.started,
            "running": self.life is not None,
            "boot": self.hosted.boot if self.hosted is not None else None,
            "fault": fault[:MAX_FAULT_LENGTH] if fault else None,
        }
