"""Reports of the chargers' states: what has changed, soon after it has."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from simulator.actions.place import describe_connector
from simulator.charge_point.charge_point import ChargePoint
from simulator.control.cadence import Cadence
from simulator.control.frames import Frame
from simulator.control.hosted import Hosted

#: No charger reports more often.
EVERY_S = 0.2

#: From a change to its report: what follows at once goes with it.
SOON_S = 0.02

#: Between two reports of the energy of a charger that charges, if the process has no more of them than this.
CHARGING_S, CHARGING_AT_ONCE = 1.0, 200


class Reports:
    def __init__(self, on_due: Callable[[], object]) -> None:
        """`on_due` is called when there is something for `take`."""
        self._changed: dict[str, Hosted] = {}
        self._charging: dict[str, Hosted] = {}
        self._last: dict[str, Frame] = {}  # by charger: what the link has
        self._cadence = Cadence(on_due, soon_s=SOON_S, every_s=EVERY_S)
        self._tick: asyncio.TimerHandle | None = None
        self._is_open = False

    def start(self, chargers: Iterable[Hosted]) -> None:
        """A session has begun: the link gets all states."""
        self._is_open = True
        self._last.clear()
        for hosted in chargers:
            self.note(hosted)

    def stop(self) -> None:
        """The session is over; a repeat is safe."""
        self._is_open = False
        self._changed.clear()
        self._charging.clear()
        self._cadence.cancel()
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def note(self, hosted: Hosted) -> None:
        """Something about this charger may have changed."""
        if self._is_open:
            self._changed[hosted.id] = hosted
            self._cadence.prompt()

    def drop(self, charger_id: str) -> None:
        """Safe to repeat."""
        for known in (self._changed, self._charging, self._last):
            known.pop(charger_id, None)

    def take(self) -> Iterator[Frame]:
        """The changes since the last call."""
        changed, self._changed = self._changed, {}
        for hosted in changed.values():
            state = hosted.attempt(partial(self._describe, hosted))
            if state is None:
                continue
            last = self._last.get(hosted.id, {})
            news = {name: value for name, value in state.items() if name not in last or last[name] != value}
            self._last[hosted.id] = state
            if news:
                yield {"charger": hosted.id, **news}
        self._follow_charging()

    def _describe(self, hosted: Hosted) -> Frame:
        """Without what is not known yet."""
        state: Frame = {}
        if hosted.csms is not None:
            state["csms"] = hosted.csms
        if hosted.charge_point is not None:
            state["connectors"] = describe_connectors(hosted.charge_point)
            if any(connector["power_w"] for connector in state["connectors"]):
                self._charging[hosted.id] = hosted
            else:
                self._charging.pop(hosted.id, None)
        if hosted.remark is not None:
            state["remark"] = hosted.remark
        if hosted.spec is not None:
            state["spec"] = {"revision": hosted.spec.revision, "error": hosted.spec_error}
        return state

    def _follow_charging(self) -> None:
        """One timer for all that charge: many of them report less often, so that the work of a process is bounded."""
        if self._charging and self._tick is None:
            wait_s = CHARGING_S * max(1.0, len(self._charging) / CHARGING_AT_ONCE)
            self._tick = asyncio.get_running_loop().call_later(wait_s, self._note_charging)

    def _note_charging(self) -> None:
        self._tick = None
        for hosted in list(self._charging.values()):
            self.note(hosted)


def describe_connectors(charge_point: ChargePoint) -> list[Frame]:
    """Statuses are in the words of the charger's OCPP version."""
    charge_point.station.energy.update_meters()
    return [describe_connector(charge_point, connector) for connector in charge_point.station.connectors]
