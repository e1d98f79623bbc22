"""What a charger still knows after its process was ended, or ended by itself."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.model import Connector, Ev, Reservation, Token, Transaction
from simulator.station.smart_charging import Profiles, read_profile
from simulator.station.station import Station

State = dict[str, Any]

FORMAT = 1


def load_state(path: Path, identity: str) -> State | None:
    """None without a file. Raises ValueError for one that is not this charger's."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    state = json.loads(text)
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("identity") != identity:
        raise ValueError("it is another charger's, or of another version")
    return state


def save_state(path: Path, state: State) -> None:
    """Whole or not at all. It may hold a password, so it is the owner's alone."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(state, file, separators=(",", ":"))
    draft.replace(path)


def describe_station(station: Station) -> State:
    return {
        "connectors": [_describe_connector(connector) for connector in station.connectors],
        "reservations": [asdict(reservation) for reservation in station.reservations.values()],
        "profiles": [
            [profile.payload, profile.connector_number, profile.transaction_id]
            for profile in station.profiles
        ],
    }


def restore_station(station: Station, state: State) -> None:
    for connector, known in zip(station.connectors, state["connectors"], strict=False):
        _restore_connector(connector, known)
    for known in state["reservations"]:
        reservation = Reservation(**known | {"token": Token(*known["token"])})
        station.reservations[reservation.id] = reservation
    restore_profiles(station.profiles, state["profiles"])


def restore_profiles(profiles: Profiles, known: list[Any]) -> None:
    for payload, connector_number, transaction_id in known:
        profiles.install(read_profile(payload, connector_number, transaction_id))


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
        "operative": connector.operative if connector.operative_next is None else connector.operative_next,
        "used": connector.used,
    }


def _restore_connector(connector: Connector, known: State) -> None:
    connector.ev = Ev(**known["ev"]) if known["ev"] else None
    if known["transaction"]:
        token = known["transaction"]["token"]
        connector.transaction = Transaction(
            **known["transaction"] | {"token": Token(*token) if token else None}
        )
    connector.energy_wh = float(known["energy_wh"])
    connector.fault = known["fault"]
    connector.operative = bool(known["operative"])
    connector.used = bool(known["used"])
