"""What a charger remembers of itself: its state as JSON, and back."""

from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, Protocol

from simulator.charge_point.charging_profiles import ProfileRefused, read_profile
from simulator.charge_point.delivery import Delivery
from simulator.charge_point.maintenance.maintenance import Maintenance
from simulator.charge_point.memory import State
from simulator.charge_point.network import Network
from simulator.charge_point.reboots import Reboots
from simulator.charge_point.upkeep import Upkeep
from simulator.clock import Clock
from simulator.configuration import Options
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


class Rememberer(Protocol):
    """The charge point, as far as it remembers."""

    clock: Clock
    options: Options
    upkeep: Upkeep
    network: Network
    authorizer: Authorizer
    station: Station
    maintenance: Maintenance
    delivery: Delivery
    reboots: Reboots


def describe(charger: Rememberer) -> State:
    """As JSON has it, without what `Memory.snapshot` adds."""
    return {
        "saved_at": charger.clock.now(),
        "options": charger.options.changes,
        "password_number": charger.upkeep.password_number,
        "network": charger.network.describe(),
        "outbox": charger.delivery.outbox.describe(),
        **charger.maintenance.describe(),
        **_describe_authorizer(charger.authorizer),
        **_describe_station(charger.station),
    }


def recall(charger: Rememberer, state: State) -> None:
    """Restores what `describe` returned in an earlier process. Raises one of `memory.UNUSABLE`."""
    _restore_authorizer(charger.authorizer, state)
    _restore_station(charger.station, state)
    charger.delivery.outbox.restore(state["outbox"])
    charger.options.restore(state["options"])
    charger.upkeep.recall_password_number(state.get("password_number", 0))
    charger.upkeep.hide_passwords()
    charger.network.restore(state.get("network", {}))
    charger.maintenance.restore(state)
    if charger.maintenance.firmware.reboots:
        charger.reboots.reason = "FirmwareUpdate"
    reason = "Reboot" if state["clean"] else "PowerLoss"
    charger.station.transactions.end_interrupted(reason, state["saved_at"])


def _describe_station(station: Station) -> State:
    return {
        "connectors": [_describe_connector(connector) for connector in station.connectors],
        "reservations": [asdict(reservation) for reservation in station.reservations.by_id.values()],
        "profiles": [
            [profile.payload, profile.connector_number, profile.transaction_id, profile.received_at]
            for profile in station.profiles
        ],
    }


def _restore_station(station: Station, state: State) -> None:
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


def _describe_authorizer(authorizer: Authorizer) -> State:
    return {
        "list_version": authorizer.list_version,
        "local_list": authorizer.local_list,
        "cache": authorizer.cache,
    }


def _restore_authorizer(authorizer: Authorizer, state: State) -> None:
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
