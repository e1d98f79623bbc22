"""What a charger remembers after its process has ended: in the state file, and where the control link keeps it."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from simulator.charge_point.charging_profiles import ProfileRefused, read_profile
from simulator.log import EventLog
from simulator.settings import Settings
from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.car.ev import Ev
from simulator.station.model import (
    UNTIL_REBOOT,
    Connector,
    Level,
    Reading,
    Reservation,
    Sample,
    Token,
    Transaction,
)
from simulator.station.station import Station
from simulator.station.timers import Timers

#: The timer of a save that is due.
DUE = "save"

State = dict[str, Any]

FORMAT = 1

#: What loading or restoring an unusable file raises.
UNUSABLE = (OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Memory:
    """Saves the charger's state; does nothing without a path, and without somebody who keeps it elsewhere."""

    def __init__(
        self,
        settings: Settings,
        describe: Callable[[], State],
        timers: Timers,
        log: EventLog,
    ) -> None:
        self._path = None if settings.state_file is None else Path(settings.state_file)
        self._identity = settings.identity
        self._version = settings.ocpp_version
        self._describe = describe
        self._timers = timers
        self._log = log
        self._clean = False
        #: called at each change by whoever keeps the state elsewhere, and then takes a `snapshot`
        self.on_change: Callable[[], object] | None = None

    @property
    def enabled(self) -> bool:
        """Whether transactions survive the end of the process."""
        return self._path is not None or self.on_change is not None

    def save_soon(self) -> None:
        """Saves once for all that changes in this turn of the event loop."""
        self._changed(clean=False)
        if self._path is not None and not self._timers.is_running(None, DUE):
            self._timers.start(None, DUE, 0, self.save)

    def save_if_due(self) -> None:
        """Before a message is sent: the next process must know all that the CSMS knows."""
        if self._timers.is_running(None, DUE):
            self.save()

    def save(self, *, clean: bool = False) -> None:
        """Saves the state; a failure is a remark in the log. `clean` says that the process ends in order."""
        self._timers.cancel(None, DUE)
        self._changed(clean=clean)
        if self._path is None:
            return
        try:
            _write(self._path, self.snapshot())
        except OSError as error:
            self._log.remark("error", f"the state file cannot be written: {error}")

    def _changed(self, *, clean: bool) -> None:
        self._clean = clean
        if self.on_change is not None:
            self.on_change()

    def snapshot(self) -> State:
        """The state, as `load` takes it in a later process."""
        whose = {"format": FORMAT, "identity": self._identity, "version": self._version}
        return whose | self._describe() | {"clean": self._clean}

    def load(self, kept: State | None = None) -> State | None:
        """The state of the file, or else a `snapshot` that was kept elsewhere; None without both.

        Raises OSError, or ValueError for the state of another charger or format.
        """
        state = self._read_file()
        if state is None:
            state = kept
        if state is None:
            return None
        if (
            not isinstance(state, dict)
            or state.get("format") != FORMAT
            or state.get("identity") != self._identity
        ):
            raise ValueError("it is another charger's, or of another version")
        if state.get("version", self._version) != self._version:
            self._log.remark("warning", f"what belongs to {state['version']} is not remembered")
            return state | _without_version(state)
        return state

    def _read_file(self) -> Any:
        """None without a file."""
        if self._path is None:
            return None
        try:
            return json.loads(self._path.read_text()) or {}
        except FileNotFoundError:
            return None


def _without_version(state: State) -> State:
    """Without the messages, transactions and charging profiles of another OCPP version."""
    connectors = [connector | {"transaction": None} for connector in state["connectors"]]
    return {"connectors": connectors, "outbox": [], "profiles": []}


def _write(path: Path, state: State) -> None:
    """Writes the whole file or nothing. It may hold a password, so only its owner may read it."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(state, separators=(",", ":")))  # json.dump takes several times as long
    draft.replace(path)


def describe_station(station: Station) -> State:
    return {
        "connectors": [_describe_connector(connector) for connector in station.connectors],
        "reservations": [asdict(reservation) for reservation in station.reservations.by_id.values()],
        "profiles": [
            [profile.payload, profile.connector_number, profile.transaction_id, profile.received_at]
            for profile in station.profiles
        ],
    }


def restore_station(station: Station, state: State) -> None:
    for connector, described in zip(station.connectors, state["connectors"], strict=False):
        _restore_connector(connector, described)
    for described in state["reservations"]:
        reservation = Reservation(**described | {"token": Token(*described["token"])})
        station.reservations.by_id[reservation.id] = reservation
    _restore_profiles(station, state["profiles"], state["saved_at"])


def _restore_profiles(station: Station, described: list[Any], saved_at: float) -> None:
    """Leaves out one that an older release took and this one refuses, and one whose remote start the restart ended."""
    for payload, connector_number, transaction_id, *received_at in described:
        if transaction_id is not None and station.transactions.find(transaction_id) is None:
            continue
        with suppress(ProfileRefused):
            moment = received_at[0] if received_at else saved_at
            profile = read_profile(
                payload, connector_number, transaction_id, electrics=station.electrics, received_at=moment
            )
            station.profiles.add(profile)


def describe_authorizer(authorizer: Authorizer) -> State:
    return {
        "list_version": authorizer.list_version,
        "local_list": authorizer.local_list,
        "cache": authorizer.cache,
    }


def restore_authorizer(authorizer: Authorizer, state: State) -> None:
    authorizer.list_version = state["list_version"]
    authorizer.local_list = {name: TokenInfo(*info) for name, info in state["local_list"].items()}
    authorizer.cache = {name: TokenInfo(*info) for name, info in state["cache"].items()}


def _describe_connector(connector: Connector) -> State:
    return {
        "ev": asdict(connector.ev) if connector.ev else None,
        "transaction": asdict(connector.transaction) if connector.transaction else None,
        "energy_wh": connector.energy_wh,
        "fault": connector.fault,
        "fault_info": connector.fault_info,
        "inoperative": sorted(connector.inoperative - UNTIL_REBOOT),
        "used": connector.used,
        "cable_locked": connector.cable_locked,
    }


def _restore_connector(connector: Connector, described: State) -> None:
    if described["ev"]:
        connector.ev = Ev(**_known_fields(Ev, described["ev"]))
    if described["transaction"]:
        token = described["transaction"]["token"]
        known = _known_fields(Transaction, described["transaction"])
        kept = {"token": Token(*token) if token else None, "samples": _samples(known.get("samples", []))}
        connector.transaction = Transaction(**known | kept)
    connector.energy_wh = float(described["energy_wh"])
    connector.fault, connector.fault_info = described["fault"], described.get("fault_info")
    connector.inoperative = set(_inoperative_levels(described))
    connector.operative = not connector.inoperative
    connector.used = bool(described["used"])
    connector.cable_locked = bool(described.get("cable_locked"))


def _samples(described: list[Any]) -> list[Sample]:
    return [
        Sample(moment, context, [Reading(*each) for each in readings])
        for moment, context, readings in described
    ]


def _inoperative_levels(described: State) -> list[Level]:
    """An older file has one flag for all levels."""
    if "inoperative" in described:
        return [level for level in ("station", "EVSE", "connector") if level in described["inoperative"]]
    return [] if described["operative"] else ["EVSE"]


def _known_fields(kind: type[Ev] | type[Transaction], described: State) -> State:
    """Leaves out the fields that an older file has under another name; they have defaults."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in described.items() if name in names}
