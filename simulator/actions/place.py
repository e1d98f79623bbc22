"""Where an action happens: `evse_id` and `connector_id`."""

from collections.abc import Callable, Mapping
from typing import Any

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.station.model import Connector

MAX_NUMBER = 1000

EVSE_ID = Field(
    name="evse_id",
    type="integer",
    nullable=True,
    minimum=1,
    maximum=MAX_NUMBER,
    description="The EVSE, from 1. In OCPP 1.6 it has the number of its connector.",
)
CONNECTOR_ID = Field(
    name="connector_id",
    type="integer",
    nullable=True,
    minimum=1,
    maximum=MAX_NUMBER,
    description="The connector, from 1. In OCPP 2.0.1 each EVSE has one: with evse_id it is 1, alone the number of its EVSE.",
)
PLACE = (EVSE_ID, CONNECTOR_ID)


def find_connector(
    charger: Charger, event: Mapping[str, Any], prefer: Callable[[Connector], object] = lambda _: True
) -> Connector:
    """The connector that the event names; without one, the first that `prefer` chooses, or else the first.

    Raises Rejected.
    """
    number = number_of(charger, event)
    connectors = charger.station.connectors
    if number is None:
        return next((each for each in connectors if prefer(each)), connectors[0])
    connector = charger.station.connector(number)
    if connector is None:
        raise Rejected(f"there is no connector {number}: this charger has {len(connectors)}")
    return connector


def number_of(charger: Charger, event: Mapping[str, Any]) -> int | None:
    """The number of the connector that the event names. Raises Rejected for two that are not the same place."""
    evse_id, connector_id = event.get("evse_id"), event.get("connector_id")
    if evse_id is None or connector_id is None:
        return connector_id if evse_id is None else evse_id
    if connector_id != (1 if charger.counts_evses else evse_id):
        raise Rejected(f"evse_id {evse_id} and connector_id {connector_id} are not the same place")
    return int(evse_id)


def describe_place(charger: Charger, connector: Connector) -> dict[str, int | None]:
    """As a client names it: in OCPP 2.0.1 the EVSE and its connector 1."""
    if charger.counts_evses:
        return {"evse_id": connector.number, "connector_id": 1}
    return {"evse_id": None, "connector_id": connector.number}


def describe_connector(charger: Charger, connector: Connector) -> dict[str, Any]:
    """What a connector looks like now. The meters are as old as their last update."""
    transaction = connector.transaction
    drawn_wh = connector.energy_wh - transaction.meter_start_wh if transaction else None
    return {
        **describe_place(charger, connector),
        "status": charger.status_of(connector.number),
        "plugged": connector.plugged,
        "id_tag": connector.token.value if connector.token else None,
        "reservation_id": _reservation_of(charger, connector),
        "transaction_id": charger.transaction_id_of(transaction) if transaction else None,
        "transaction_energy_wh": None if drawn_wh is None else round(drawn_wh, 1),
        "power_w": round(connector.power_w, 1),
        "energy_wh": round(connector.energy_wh, 1),
        "soc_percent": round(connector.ev.soc_percent, 1) if connector.ev else None,
        "fault": connector.fault,
    }


def _reservation_of(charger: Charger, connector: Connector) -> int | None:
    """The one that keeps this connector, or that its token has used."""
    if connector.reservation_id is not None:
        return connector.reservation_id
    kept = charger.station.reservations.by_id.values()
    return next((each.id for each in kept if each.connector_number == connector.number), None)
