"""Actions of a car: the energy and the power that it requests."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.place import PLACE, describe_connector, find_connector
from simulator.actions.row import Event, Result, action
from simulator.actions.rows.connector import MAX_AMOUNT
from simulator.station.model import Connector


@action(*PLACE, example={"connector_id": 1})
def ev_requests_energy(charger: Charger, event: Event) -> Result:
    """The car requests energy: Charging, if a transaction runs.

    A car that has all it wanted requests as much again.
    """
    return _request_energy(charger, event, requests=True)


@action(*PLACE, example={"connector_id": 1})
def ev_stops_energy(charger: Charger, event: Event) -> Result:
    """The car stops requesting energy: SuspendedEV."""
    return _request_energy(charger, event, requests=False)


def _request_energy(charger: Charger, event: Event, *, requests: bool) -> Result:
    connector = _with_car(charger, event)
    charger.station.cable.request_energy(connector, requests)
    return describe_connector(charger, connector)


@action(
    Field(
        name="power_w",
        type="number",
        required=True,
        nullable=True,
        minimum=0,
        maximum=MAX_AMOUNT,
        description="In W, within the limits of charger and profiles; null: as much as the car can.",
    ),
    *PLACE,
    example={"power_w": 11000, "connector_id": 1},
)
def power_update(charger: Charger, event: Event) -> Result:
    """The car draws this much power from now on, until the transaction ends."""
    connector = find_connector(charger, event, lambda each: each.transaction)
    charger.station.cable.set_power(connector, event.get("power_w"))
    return describe_connector(charger, connector)


@action(
    *PLACE,
    example={"connector_id": 1},
    method="GET",
    path="ev-state",
    answer="result",
    result_fields=(
        Field(name="evse_id", type="integer", nullable=True),
        Field(name="connector_id", type="integer", required=True),
        Field(name="status", type="string", required=True, description="Of its StatusNotification."),
        Field(name="charging_state", type="string", required=True, description="In OCPP 2.0.1's words."),
        Field(name="plugged", type="boolean", required=True),
        Field(name="authorized", type="boolean", required=True, description="A token may charge here."),
        Field(name="id_tag", type="string", nullable=True, description="The token that may charge here."),
        Field(
            name="reservation_id",
            type="integer",
            nullable=True,
            description="Of the reservation that keeps the connector, or that its token has used.",
        ),
        Field(name="transaction_id", type="string", nullable=True),
        Field(
            name="transaction_energy_wh",
            type="number",
            nullable=True,
            description="Since the transaction began; null without one.",
        ),
        Field(name="power_w", type="number", required=True),
        Field(name="energy_wh", type="number", required=True, description="The register of the meter."),
        Field(name="soc_percent", type="number", nullable=True, description="Null without a car."),
        Field(name="requests_energy", type="boolean", nullable=True, description="Null without a car."),
        Field(name="fault", type="string", nullable=True),
    ),
    result_example={
        "evse_id": None,
        "connector_id": 1,
        "status": "Charging",
        "charging_state": "Charging",
        "plugged": True,
        "authorized": True,
        "id_tag": "CARD-1",
        "reservation_id": None,
        "transaction_id": "4711",
        "transaction_energy_wh": 4100.5,
        "power_w": 11000.0,
        "energy_wh": 2513400.5,
        "soc_percent": 71.3,
        "requests_energy": True,
        "fault": None,
    },
)
def get_ev_state(charger: Charger, event: Event) -> Result:
    """The state of a connector and its car: status, power, energy, state of charge."""
    connector = find_connector(charger, event)
    charger.station.energy.update_meters()
    return describe_connector(charger, connector) | {
        "charging_state": connector.charging_state,
        "authorized": connector.token is not None,
        "requests_energy": connector.ev.requests_energy if connector.ev else None,
    }


def _with_car(charger: Charger, event: Event) -> Connector:
    """The connector that the event names, or the first with a car. Raises Rejected without a car."""
    connector = find_connector(charger, event, lambda each: each.plugged)
    if not connector.plugged:
        raise Rejected("no car is plugged in")
    return connector


@action(
    Field(name="soc", type="number", required=True, minimum=0, maximum=100, description="In percent."),
    *PLACE,
    example={"soc": 55, "connector_id": 1},
)
def update_soc(charger: Charger, event: Event) -> Result:
    """The car's battery has this state of charge from now on. A car requests no more than fits into it."""
    connector = _with_car(charger, event)
    charger.station.energy.update_meters()
    if connector.ev:
        connector.ev.set_soc(event["soc"])
    charger.station.energy.apply_change(connector)
    return describe_connector(charger, connector)


@action(
    Field(
        name="energy_wh",
        type="number",
        required=True,
        minimum=0,
        maximum=MAX_AMOUNT,
        description="The register from now on, in Wh; a register only grows.",
    ),
    *PLACE,
    example={"energy_wh": 12500000, "connector_id": 1},
)
def update_meter_values(charger: Charger, event: Event) -> Result:
    """The register of the meter has this value, and is reported at once.

    In a transaction by MeterValues (OCPP 1.6) or TransactionEvent Updated (2.0.1), otherwise by MeterValues.
    """
    connector = find_connector(charger, event, lambda each: each.transaction)
    charger.station.energy.update_meters()
    if event["energy_wh"] < connector.energy_wh:
        raise Rejected(f"energy_wh is less than the register, which only grows: {connector.energy_wh:.1f}")
    connector.energy_wh = float(event["energy_wh"])
    charger.station.sampling.report_now(connector)
    charger.station.energy.apply_change(connector)
    return describe_connector(charger, connector)
