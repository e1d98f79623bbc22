"""Single messages to the CSMS: one of the caller's own, or one that the charger makes."""

from dataclasses import replace

from ocpp.exceptions import OCPPError  # type: ignore[import-untyped]

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Failed, Outcome, Rejected
from simulator.actions.place import CONNECTOR_ID, EVSE_ID, number_of
from simulator.actions.proxied import NAMES_OF_VERSION, find_action
from simulator.actions.row import Event, Result, action
from simulator.actions.verdicts import call_csms
from simulator.link import schemas
from simulator.link.frames import Payload
from simulator.link.schemas import SchemaViolation

#: OCPP 1.6 has two, with different messages.
TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


@action(
    Field(
        name="action",
        type="string",
        required=True,
        min_length=1,
        max_length=50,
        description="A message that a charge point may send, in snake_case or CamelCase.",
    ),
    Field(
        name="ocpp_version",
        type="string",
        required=True,
        choices=tuple(NAMES_OF_VERSION),
        description="The version that the charger speaks.",
    ),
    Field(
        name="payload",
        type="object",
        required=True,
        description="Its keys in snake_case or camelCase; checked by the schema of the version.",
    ),
    example={
        "action": "boot_notification",
        "ocpp_version": "ocpp1.6",
        "payload": {"charge_point_vendor": "OCPPLAB", "charge_point_model": "SDK-DC-50"},
    },
    answer="message",
    rejected_status=400,
)
def proxy_message(charger: Charger, event: Event) -> Result:
    """The charger sends this message to its CSMS, as it is; the CSMS's answer is in the result.

    It changes nothing at the charger, but for a BootNotification: its answer counts as any other's. After a
    StatusNotification the charger sends the true status with the next change. An answer that is an error is `rejected`.
    """
    if event["ocpp_version"] != charger.version.subprotocol:
        raise Rejected(f"ocpp_version is not {charger.version.subprotocol}, which this charger speaks")
    name = find_action(charger.version, event["action"])
    payload = schemas.spell(charger.version, name, event["payload"])
    _check(charger, name, payload)

    def take(answer: Payload) -> Outcome:
        _follow(charger, name, payload, answer)
        return Outcome("applied", None, {"action": name, "answer": answer})

    return call_csms(charger, name, payload, take)


def _check(charger: Charger, name: str, payload: Payload) -> None:
    try:
        schemas.check_payload(charger.version, name, payload, answer=False)
    except SchemaViolation as violation:
        raise Rejected(f"{name} breaks its schema: {violation}"[:500]) from violation


def _follow(charger: Charger, name: str, payload: Payload, answer: Payload) -> None:
    """What the CSMS knows since the message also counts for the charger."""
    if name == "BootNotification":
        charger.registration.take_boot(answer)
    if name == "StatusNotification":
        charger.statuses.expect_another(payload["evseId" if charger.counts_evses else "connectorId"])


@action(
    Field(
        name="message",
        type="string",
        required=True,
        min_length=1,
        max_length=50,
        description="One that TriggerMessage names, in CamelCase or snake_case; in OCPP 1.6 also one of ExtendedTriggerMessage.",
    ),
    EVSE_ID,
    replace(CONNECTOR_ID, minimum=0),
    example={"message": "StatusNotification", "connector_id": 1},
)
def trigger_message(charger: Charger, event: Event) -> Result:
    """The charger sends a message of its own now, as TriggerMessage asks for."""
    if not charger.reachable:
        raise Failed("nothing was sent: the charger is offline, or not accepted by its CSMS")
    message = "".join(part[:1].upper() + part[1:] for part in event["message"].split("_"))
    payload = charger.trigger_payload(message, _number(charger, event, message))
    try:
        status = charger.answer(_find_trigger(charger, payload), payload)["status"]
    except OCPPError as error:
        raise Rejected(f"the charger's answer is {error.code}: {error.description}") from error
    if status != "Accepted":
        raise Rejected(f"the charger's answer is {status}")
    return {"status": status}


def _number(charger: Charger, event: Event, message: str) -> int | None:
    """In OCPP 2.0.1 a StatusNotification needs a place (F06.FR.12)."""
    number = number_of(charger, event)
    return 1 if number is None and charger.counts_evses and message == "StatusNotification" else number


def _find_trigger(charger: Charger, payload: Payload) -> str:
    for name in TRIGGERS:
        try:
            schemas.check_payload(charger.version, name, payload, answer=False)
        except SchemaViolation:
            continue
        return name
    raise Rejected(f"message {payload['requestedMessage']} cannot be triggered in {charger.version.name}")
