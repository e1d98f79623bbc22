"""Actions at a connector: the cable goes in and out."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.place import PLACE, describe_connector, find_connector
from simulator.actions.row import Event, Result, action

#: In watts or watt-hours: a gigawatt is more than any car has, and a number that a meter can add to.
MAX_AMOUNT = 1e9

CAR = (
    Field(
        name="energy_wh",
        type="number",
        nullable=True,
        minimum=0,
        maximum=MAX_AMOUNT,
        description="The energy that the car requests, in Wh.",
    ),
    Field(
        name="battery_wh",
        type="number",
        nullable=True,
        minimum=1,
        maximum=MAX_AMOUNT,
        description="The size of its battery, in Wh.",
    ),
    Field(
        name="soc_percent",
        type="number",
        nullable=True,
        minimum=0,
        maximum=100,
        description="Its state of charge when it comes, in percent.",
    ),
    Field(
        name="max_power_w",
        type="number",
        nullable=True,
        minimum=1,
        maximum=MAX_AMOUNT,
        description="The most that it draws, in W.",
    ),
    Field(
        name="phases",
        type="integer",
        nullable=True,
        minimum=1,
        maximum=3,
        description="The phases that its on-board charger uses.",
    ),
)


@action(*PLACE, *CAR, example={"connector_id": 1})
def plug_connector(charger: Charger, event: Event) -> Result:
    """A car is plugged in: Preparing, or Occupied in OCPP 2.0.1.

    The fields about the car stand in for the charger's settings. A connector has one car at a time.
    """
    connector = find_connector(charger, event)
    car = {f"ev_{field.name}": event[field.name] for field in CAR if field.name in event}
    if not charger.station.cable.plug(connector, **car):
        raise Rejected("a car is plugged in already")
    return describe_connector(charger, connector)


@action(*PLACE, example={"connector_id": 1})
def unplug_connector(charger: Charger, event: Event) -> Result:
    """The car leaves with its cable: Available.

    A transaction ends as the charger's configuration says. Without a place: the first connector with a car.
    """
    connector = find_connector(charger, event, lambda each: each.plugged)
    if not charger.station.cable.unplug(connector):
        raise Rejected("no car is plugged in")
    return describe_connector(charger, connector)


@action(*PLACE, example={"connector_id": 1})
def unlock_connector(charger: Charger, event: Event) -> Result:
    """The latch lets go of the cable, as UnlockConnector asks for.

    In OCPP 1.6 it ends a transaction; in 2.0.1 it is rejected while an authorized transaction runs.
    """
    connector = find_connector(charger, event)
    status = charger.unlock(connector)
    if status != "Unlocked":
        raise Rejected(status)
    return describe_connector(charger, connector) | {"unlock_status": status}


@action(*PLACE, example={"connector_id": 1})
def suspend_evse(charger: Charger, event: Event) -> Result:
    """The charger stops delivering to its transaction: SuspendedEVSE, until resume_evse or the end."""
    return _suspend(charger, event, suspended=True)


@action(*PLACE, example={"connector_id": 1})
def resume_evse(charger: Charger, event: Event) -> Result:
    """The charger delivers again."""
    return _suspend(charger, event, suspended=False)


def _suspend(charger: Charger, event: Event, *, suspended: bool) -> Result:
    connector = find_connector(charger, event, lambda each: each.transaction)
    if connector.transaction is None:
        raise Rejected(f"no transaction runs at connector {connector.number}")
    connector.suspended = suspended
    charger.station.energy.update_power()
    return describe_connector(charger, connector)
