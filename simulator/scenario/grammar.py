"""Reads a scenario, and says which of its steps is wrong. docs/scenarios.md has the grammar."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.actions.fields import BadField, read_fields
from simulator.actions.rows.scenario import SCENARIO, STEP
from simulator.actions.table import TABLE
from simulator.link.schemas import values_of
from simulator.versions import Version

#: Loops within each other.
MAX_DEPTH = 5

#: Of all levels together.
MAX_STEPS = 1000


class BadScenario(ValueError):
    """The message names the step: `steps[2].loop[0]`."""


class Do(NamedTuple):
    where: str  #: in the scenario: `steps[2].loop[0]`
    goes_on: bool  #: after a failure
    action: str
    event: Mapping[str, Any]


class Wait(NamedTuple):
    where: str
    goes_on: bool
    from_s: float
    to_s: float


class WaitUntil(NamedTuple):
    where: str
    goes_on: bool
    condition: Mapping[str, Any]
    within_s: float | None  #: None: for ever


class Loop(NamedTuple):
    where: str
    goes_on: bool
    steps: "tuple[Step, ...]"
    times: int | None  #: None: for ever


Step = Do | Wait | WaitUntil | Loop


class Scenario(NamedTuple):
    steps: tuple[Step, ...]
    seed: int | None


class Limits(NamedTuple):
    """What a charger has: a scenario is checked against it."""

    version: Version
    connectors: int


def read_scenario(given: object, limits: Limits) -> Scenario:
    """The scenario of an object, or of a list of its steps. Raises BadScenario."""
    if isinstance(given, list):
        given = {"steps": given}
    if not isinstance(given, Mapping):
        raise BadScenario("a scenario is an object with steps, or a list of steps")
    try:
        read = read_fields(SCENARIO, {**given, "steps": _shallow(given.get("steps"))})
        reader = _Reader(limits, goes_on=read.get("on_error") == "continue")
        return Scenario(reader.read_steps(given["steps"], "steps", 0), read.get("seed"))
    except BadField as error:
        raise BadScenario(str(error)) from None


def _shallow(steps: object) -> object:
    """The steps are read one by one, with their places."""
    return [{} if isinstance(each, dict) else each for each in steps] if isinstance(steps, list) else steps


#: What a step may be, with the fields that belong to it.
KINDS = {
    "do": {"with"},
    "wait_s": {"up_to_s"},
    "wait_until": {"within_s"},
    "loop": {"times"},
}


class _Reader:
    def __init__(self, limits: Limits, *, goes_on: bool) -> None:
        self._limits = limits
        self._goes_on = goes_on
        self._count = 0

    def read_steps(self, steps: list[Mapping[str, Any]], where: str, depth: int) -> tuple[Step, ...]:
        """Raises BadScenario or BadField."""
        self._count += len(steps)
        if self._count > MAX_STEPS:
            raise BadScenario(f"a scenario has at most {MAX_STEPS} steps")
        if depth > MAX_DEPTH:
            raise BadScenario(f"{where}: at most {MAX_DEPTH} loops are within each other")
        return tuple(self._read_step(step, f"{where}[{number}]", depth) for number, step in enumerate(steps))

    def _read_step(self, given: Mapping[str, Any], where: str, depth: int) -> Step:
        step = read_fields(STEP, given, f"{where}.")
        kinds = KINDS.keys() & step.keys()
        if len(kinds) != 1:
            raise BadScenario(f"{where} has not exactly one of {', '.join(KINDS)}")
        (kind,) = kinds
        surplus = step.keys() - KINDS[kind] - {kind, "on_error"}
        if surplus:
            raise BadScenario(f"{where}.{min(surplus)} does not belong to {kind}")
        goes_on = step["on_error"] == "continue" if "on_error" in step else self._goes_on
        match kind:
            case "do":
                event = self._read_event(step["do"], step.get("with", {}), where)
                return Do(where, goes_on, step["do"], event)
            case "wait_s":
                return _read_wait(step, where, goes_on=goes_on)
            case "wait_until":
                condition, within_s = self._read_condition(step["wait_until"], where), step.get("within_s")
                return WaitUntil(where, goes_on, condition, within_s)
            case _:
                steps = self.read_steps(step["loop"], f"{where}.loop", depth + 1)
                return Loop(where, goes_on, steps, step.get("times"))

    def _read_event(self, action: str, event: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        row = TABLE.get(action)
        if row is None:
            raise BadScenario(f"{where}.do: there is no action {action}")
        if action in ("start_scenario", "stop_scenario"):
            raise BadScenario(f"{where}.do: a scenario starts and stops none")
        try:
            row.read(event)
        except BadField as error:
            raise BadScenario(f"{where}.with: {error}") from None
        return event

    def _read_condition(self, condition: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        if not condition.keys() - {"connector_id"}:
            raise BadScenario(f"{where}.wait_until has no condition")
        number = condition.get("connector_id") or 1
        if number > self._limits.connectors:
            raise BadScenario(f"{where}.wait_until.connector_id: there is no connector {number}")
        statuses = self._statuses()
        if condition.get("status") not in (None, *statuses):
            raise BadScenario(f"{where}.wait_until.status is not one of {', '.join(statuses)}")
        return condition

    def _statuses(self) -> list[str]:
        field = "status" if self._limits.version.name == "OCPP1.6" else "connectorStatus"
        return values_of(self._limits.version, "StatusNotification", field)


def _read_wait(step: Mapping[str, Any], where: str, *, goes_on: bool) -> Wait:
    from_s = step["wait_s"]
    to_s = step.get("up_to_s", from_s)
    if to_s < from_s:
        raise BadScenario(f"{where}.up_to_s is less than wait_s")
    return Wait(where, goes_on, from_s, to_s)
