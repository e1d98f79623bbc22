"""Performs a scenario, step by step."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Protocol

from simulator.actions.actions import Actions
from simulator.flag import Flag
from simulator.log import EventLog
from simulator.scenario.grammar import Do, Limits, Loop, Scenario, Step, Wait, WaitUntil, read_scenario
from simulator.station.model import Connector
from simulator.station.station import Station
from simulator.versions import Version

#: A condition is checked after each change of a status or of the link. Energy flows without one, so while it flows for a
#: condition about it, this is checked every 0.5 s; any other now and then, in case a change goes unnoticed.
FLOW_CHECK_S, CHECK_S = 0.5, 5.0

#: Seconds that a round of a loop takes at least, so that one without a wait does no harm.
ROUND_S = 1.0


class Player(Protocol):
    """The charge point, as its scenario uses it."""

    version: Version
    log: EventLog
    actions: Actions
    station: Station
    online: bool

    @property
    def reachable(self) -> bool: ...

    def status_of(self, connector_number: int) -> str: ...


class _StepFailed(Exception):
    """The message says why."""


class Scenarios:
    """At most one runs. It goes on over a reconnect, a Reset and a power cut, and ends with the charger."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._configured: Scenario | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed: Flag | None = None  #: of the condition that is waited for
        self._where: str | None = None
        self._ended: str | None = None

    def configure(self, given: object) -> None:
        """Sets the scenario that begins with the charger; None: there is none. Raises BadScenario."""
        self._configured = None if given is None else self._read(given)

    def begin(self) -> None:
        """The charger starts."""
        if self._configured is not None:
            self._start(self._configured)

    def start(self, given: object) -> None:
        """Replaces the one that runs. Raises BadScenario, and then nothing has changed."""
        self._start(self._read(given))

    def _read(self, given: object) -> Scenario:
        return read_scenario(given, Limits(self._player.version, len(self._player.station.connectors)))

    def _start(self, scenario: Scenario) -> None:
        self.stop()
        self._where = self._ended = None
        self._task = asyncio.create_task(self._run(scenario))

    def stop(self) -> bool:
        """False when none runs."""
        if self._task is None or self._ended is not None:
            return False
        self._task.cancel()
        self._ended = "it was stopped"
        return True

    def describe(self) -> dict[str, Any]:
        running = self._task is not None and self._ended is None
        return {"running": running, "step": self._where, "ended": self._ended}

    async def _run(self, scenario: Scenario) -> None:
        """A fault of a scenario ends it, and nothing else."""
        log = self._player.log
        try:
            await self._play(scenario.steps, Random(scenario.seed))
        except _StepFailed as failure:
            self._ended = f"{self._where}: {failure}"
            log.remark("warning", f"the scenario stops at {self._ended}")
        except Exception as error:
            self._ended = f"{self._where}: {error!r}"
            log.remark("error", f"the scenario fails at {self._ended}")
        else:
            self._ended = "all its steps are done"
            log.remark("info", "the scenario has come to its end")

    async def _play(self, steps: Sequence[Step], random: Random) -> None:
        for step in steps:
            self._where = step.where
            try:
                await self._take(step, random)
            except _StepFailed as failure:
                if not step.goes_on:
                    raise
                self._player.log.remark("warning", f"the scenario goes on after {step.where}: {failure}")

    async def _take(self, step: Step, random: Random) -> None:
        match step:
            case Do():
                await self._do(step)
            case Wait():
                await asyncio.sleep(random.uniform(step.from_s, step.to_s))
            case WaitUntil():
                await self._wait_until(step)
            case Loop():
                await self._repeat(step, random)

    async def _do(self, step: Do) -> None:
        outcome = await self._player.actions.perform(step.action, step.event)
        if outcome.status != "applied":
            raise _StepFailed(f"{step.action} was {outcome.status}: {outcome.reason}")

    async def _wait_until(self, step: WaitUntil) -> None:
        begun_wh = self._energy_wh(step.condition)
        try:
            async with asyncio.timeout(step.within_s):
                while not self._holds(step.condition, begun_wh):
                    await self._wait_for_change(step.condition)
        except TimeoutError:
            raise _StepFailed(f"it was not so within {step.within_s:g} s") from None

    async def _wait_for_change(self, condition: Mapping[str, Any]) -> None:
        flows = condition.keys() & {"energy_wh", "soc_percent"} and self._connector(condition).power_w > 0
        self._changed = Flag()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLOW_CHECK_S if flows else CHECK_S):
                await self._changed.wait()

    def wake(self) -> None:
        """A status or the link may have changed."""
        if self._changed is not None:
            self._changed.set()

    async def _repeat(self, loop: Loop, random: Random) -> None:
        clock, rounds = asyncio.get_running_loop().time, 0
        while loop.times is None or rounds < loop.times:
            begun_s = clock()
            await self._play(loop.steps, random)
            await asyncio.sleep(max(0.0, begun_s + ROUND_S - clock()))
            rounds += 1

    # Conditions

    def _connector(self, condition: Mapping[str, Any]) -> Connector:
        return self._player.station.connectors[(condition.get("connector_id") or 1) - 1]

    def _energy_wh(self, condition: Mapping[str, Any]) -> float:
        self._player.station.energy.update_meters()
        return self._connector(condition).energy_wh

    def _holds(self, condition: Mapping[str, Any], begun_wh: float) -> bool:
        """Whether all of it holds; null is no condition."""
        connector = self._connector(condition)
        drawn_wh = self._energy_wh(condition) - begun_wh
        soc_percent = connector.ev.soc_percent if connector.ev else -1.0
        link = "accepted" if self._player.reachable else "" if self._player.online else "offline"
        held: dict[str, Callable[[Any], bool]] = {
            "link": lambda wanted: wanted == link,
            "status": lambda wanted: wanted == self._player.status_of(connector.number),
            "charging_state": lambda wanted: wanted == connector.charging_state,
            "plugged": lambda wanted: wanted == connector.plugged,
            "transaction": lambda wanted: wanted == (connector.transaction is not None),
            "energy_wh": lambda wanted: drawn_wh >= wanted,
            "soc_percent": lambda wanted: soc_percent >= wanted,
            "connector_id": lambda _: True,
        }
        return all(held[name](wanted) for name, wanted in condition.items() if wanted is not None)
