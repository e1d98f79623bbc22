"""A charger of this process, as the control link knows it."""

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.memory import State
from simulator.flag import Flag
from simulator.log import Event, EventLog
from simulator.turn import TURN

Result = TypeVar("Result")


class Spec(NamedTuple):
    """What the charger shall be: settings by the names of their variables."""

    revision: int
    environment: dict[str, str]


def nothing(*_: object) -> None:
    """Where nobody listens."""


def new_boot() -> str:
    """The id of a start."""
    return secrets.token_hex(8)


class Hosted:
    """It is there before its charge point is built, and stays when that is built anew."""

    def __init__(self, charger_id: str, log: EventLog, boot: str | None = None) -> None:
        self.id = charger_id
        self.log = log
        self.boot = boot or new_boot()  #: of this start; what was meant for an earlier one is not performed
        self.charge_point: ChargePoint | None = None
        self.has_memory = False  #: False: the welcome shall bring what it remembers
        self.memory: State | None = None  #: from the welcome; of a charger that is off, its last
        self.is_off = False  #: for good; another start is another Hosted
        self.secret_names: tuple[str, ...] = ()  #: of the options that are passwords
        self.spec: Spec | None = None  #: the newest that came
        self.spec_revision: int | None = None  #: the one that it runs by
        self.spec_error: str | None = None  #: why the newest cannot be followed
        self.welcomed = Flag()
        self.on_spec: Callable[[Spec], object] = nothing  #: after `spec` was set
        self.on_changed: Callable[[Hosted], object] = nothing  #: its connectors, or its link to the CSMS
        self.on_memory: Callable[[Hosted], object] = nothing  #: what it remembers is another
        self.on_begun: Callable[[Hosted], object] = nothing  #: it has a charge point
        self.csms: dict[str, Any] | None = None  #: the state of its link to the CSMS
        self._away_since: str | None = None  #: when it lost the CSMS; kept over attempts that fail
        self.remark: dict[str, Any] | None = None  #: the last warning or error
        log.on_event = self._take_event

    def attach(self, charge_point: ChargePoint) -> None:
        """From now on this is the charger; an earlier charge point is not listened to any more."""
        if self.charge_point is not None:
            self.charge_point.on_change = self.charge_point.memory.on_change = None
        self.charge_point = charge_point
        self.memory = None  # it has it now
        self.has_memory = True
        self.secret_names = tuple(charge_point.password_options)
        charge_point.on_change = lambda: TURN.hold(self.on_changed, self)
        charge_point.memory.on_change = self._remember
        self._remember()
        self.on_begun(self)

    def detach(self) -> None:
        """The charger is off, and its charge point is not needed any more; a repeat is safe.

        Raises one of `memory.UNUSABLE` for a charger whose fault has left nothing that can be remembered.
        """
        try:
            self.memory = self.snapshot()
        finally:
            self.is_off = True
            if self.charge_point is not None:
                self.charge_point.on_change = self.charge_point.memory.on_change = None
                self.charge_point = None

    def snapshot(self) -> State | None:
        """What it remembers now."""
        return self.memory if self.charge_point is None else self.charge_point.memory.snapshot()

    def attempt(self, act: Callable[[], Result]) -> Result | None:
        """What `act` returns. An error of the charger's own code restarts the charger, and ends nothing else: then None."""
        try:
            return act()
        except Exception as error:
            if self.charge_point is None:
                self.log.remark("error", f"the charger has failed before it began: {error!r}"[:500])
            else:
                self.charge_point.timers.fail(error)
            return None

    def follow(self, revision: int, error: str | None = None) -> None:
        """Reports which specification the charger has, or why it cannot have it."""
        if error is None:
            self.spec_revision = revision
        self.spec_error = error
        self.on_changed(self)

    def _remember(self) -> None:
        TURN.hold(self.on_changed, self)
        TURN.hold(self.on_memory, self)

    def _take_event(self, event: Event) -> None:
        """Its texts are masked and cut, as in the log."""
        if event["type"] == "connection":
            self.csms = self._state_of(event)
        elif event["level"] != "info":
            self.remark = {"level": event["level"], "message": event["message"], "at": event["timestamp"]}
        else:
            return
        TURN.hold(self.on_changed, self)

    def _state_of(self, event: Event) -> dict[str, Any]:
        """A new attempt has no reason of its own: it keeps that of the failed attempt before it.

        An attempt that fails too does not begin a new outage: the link is disconnected since the first one failed.
        """
        state, at = event["state"], event["timestamp"]
        before = self.csms if self.csms and self.csms["state"] in ("connecting", "disconnected") else {}
        source = before if before and state == "connecting" else event
        if state == "disconnected":
            self._away_since = self._away_since or at
        elif state != "connecting":
            self._away_since = None
        since = self._away_since if state == "disconnected" else at
        return {"state": state, "reason": source["reason"], "detail": source["detail"], "since": since}
