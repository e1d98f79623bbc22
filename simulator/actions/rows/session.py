"""Actions of a driver: a token is shown, a whole session begins and ends."""

from typing import Any

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Outcome, Rejected
from simulator.actions.place import CONNECTOR_ID, PLACE, describe_connector, find_connector
from simulator.actions.row import Event, Result, action
from simulator.actions.rows.transaction import find_free
from simulator.actions.tokens import ID_TAG, TOKEN_TYPE, read_token
from simulator.actions.verdicts import Verdict, started
from simulator.station.authorization import TokenInfo
from simulator.station.model import Connector

#: The timer that ends a session after its time.
SESSION_END = "session end"


@action(ID_TAG, TOKEN_TYPE, *PLACE, example={"id_tag": "CARD-1", "connector_id": 1})
def present_token(charger: Charger, event: Event) -> Result:
    """A driver shows a token at a connector.

    It is authorized as the charger is configured: by the local list, the cache, or the CSMS. It starts a
    transaction, or ends the one that it or another token of its group started. A token that is refused is `rejected`.
    """
    connector = find_connector(charger, event)
    token = read_token(charger, event)
    starts = connector.token is None
    verdict = Verdict(charger, lambda reason: Outcome("failed", reason))

    def decided(allowed: bool, info: TokenInfo) -> None:
        result = describe_connector(charger, connector) | {"token_status": info.status}
        verdict.settle(Outcome("applied", None, result) if allowed else _refused(info))

    if not charger.station.sessions.present_token(connector, token, decided):
        verdict.settle(Outcome("rejected", _not_now(charger, connector)))
    elif not starts:
        verdict.settle(Outcome("applied", None, describe_connector(charger, connector)))
    return verdict.future


def _refused(info: TokenInfo) -> Outcome:
    reason = "the token may not start here" if info.status == "Accepted" else f"the token is {info.status}"
    return Outcome("rejected", reason, {"token_status": info.status})


def _not_now(charger: Charger, connector: Connector) -> str:
    return f"no token can start or stop here: connector {connector.number} is {charger.status_of(connector.number)}"


@action(
    ID_TAG,
    CONNECTOR_ID,
    Field(
        name="duration_seconds",
        type="integer",
        nullable=True,
        minimum=1,
        maximum=31_536_000,
        description="The session ends by itself so long after its transaction has begun.",
    ),
    Field(
        name="target_energy_kwh",
        type="number",
        nullable=True,
        minimum=0.001,
        maximum=1e6,
        description="The session ends by itself when it has this much energy; the car requests at least as much.",
    ),
    TOKEN_TYPE,
    example={"id_tag": "CARD-1", "connector_id": 1, "duration_seconds": 1800},
)
def start_session(charger: Charger, event: Event) -> Result:
    """A driver comes: the car is plugged in, the token is authorized, a transaction begins.

    The session ends by itself after its time or with its energy: the transaction is stopped, and the car leaves. A
    driver whose token is refused leaves at once. A reboot of the charger ends the transaction, and with it what was
    said of its end. The verdict of the CSMS is in the result.
    """
    token = read_token(charger, event)
    connector = find_free(charger, event)
    comes = not connector.plugged
    if not charger.station.reservations.may_allow(connector, token):
        raise Rejected(f"connector {connector.number} is reserved")
    verdict = Verdict(charger, lambda reason: Outcome("failed", reason))

    def decided(allowed: bool, info: TokenInfo) -> None:
        if allowed:
            _begin(charger, connector, event, verdict, {"token_status": info.status})
            return
        if comes:
            charger.station.cable.unplug(connector)
        verdict.settle(_refused(info))

    _plug_in(charger, connector, event)
    charger.station.sessions.present_token(connector, token, decided)
    return verdict.future


def _plug_in(charger: Charger, connector: Connector, event: Event) -> None:
    charger.station.cable.plug(connector)
    target_wh = event.get("target_energy_kwh", 0) * 1000
    if connector.ev and connector.ev.remaining_wh < target_wh:
        connector.ev.request(target_wh)


def _begin(
    charger: Charger, connector: Connector, event: Event, verdict: Verdict, result: dict[str, Any]
) -> None:
    transaction = connector.transaction
    if transaction is not None and "target_energy_kwh" in event:
        transaction.energy_target_wh = event["target_energy_kwh"] * 1000
        charger.station.energy.update_power()
    if transaction is not None and "duration_seconds" in event:

        def end() -> None:
            if connector.transaction is transaction:
                charger.station.end_session(connector)

        charger.station.timers.start(connector, SESSION_END, event["duration_seconds"], end)
    outcome = started(charger, connector, describe_connector(charger, connector) | result)
    if isinstance(outcome, Outcome):
        verdict.settle(outcome)
    else:
        outcome.add_done_callback(lambda done: verdict.settle(done.result()))


@action(CONNECTOR_ID, example={"connector_id": 1})
def stop_session(charger: Charger, event: Event) -> Result:
    """The driver stops the transaction and leaves with the car. Without a place: the first connector with one."""
    connector = find_connector(charger, event, lambda each: each.transaction)
    transaction: dict[str, str | None] = {"transaction_id": None}
    if connector.transaction:
        transaction = {"transaction_id": charger.transaction_id_of(connector.transaction)}
    elif not connector.plugged and connector.token is None:
        raise Rejected(f"there is no session at connector {connector.number}")
    charger.station.end_session(connector)
    return describe_connector(charger, connector) | transaction
