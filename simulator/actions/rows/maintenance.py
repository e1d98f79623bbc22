"""Reboots."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.place import EVSE_ID
from simulator.actions.row import Event, Result, action


@action(
    Field(
        name="type",
        type="string",
        required=True,
        choices=("Soft", "Hard", "Immediate", "OnIdle"),
        description="In OCPP 1.6 Soft or Hard, in 2.0.1 Immediate or OnIdle.",
    ),
    EVSE_ID,
    example={"type": "Soft"},
    rejected_status=400,
)
def reboot(charger: Charger, event: Event) -> Result:
    """The charger reboots, as by Reset; in OCPP 2.0.1 also a single EVSE.

    Transactions end first; OnIdle waits for their end, and is Scheduled meanwhile.
    """
    if event["type"] not in charger.reset_kinds:
        raise Rejected(
            f"type is not one of {', '.join(charger.reset_kinds)}, which {charger.version.name} has"
        )
    evse_id = event.get("evse_id")
    connector = None if evse_id is None else charger.station.connector(evse_id)
    if evse_id is not None and (connector is None or not charger.counts_evses):
        raise Rejected(f"evse_id {evse_id} cannot be rebooted on its own")
    return {"status": charger.reset(event["type"], connector, "LocalReset")}
