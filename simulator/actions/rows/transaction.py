"""Raw starts and stops: what happens at the cable is up to the caller."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Outcome, Rejected
from simulator.actions.place import CONNECTOR_ID, PLACE, describe_connector, find_connector
from simulator.actions.row import Event, Result, action
from simulator.actions.tokens import ID_TAG, TOKEN_TYPE, read_token
from simulator.actions.verdicts import call_csms, judge, started
from simulator.link import schemas
from simulator.link.frames import Payload
from simulator.link.schemas import SchemaViolation
from simulator.station.model import Connector, Token


@action(ID_TAG, TOKEN_TYPE, CONNECTOR_ID, example={"id_tag": "CARD-1"})
def authorize_id_tag(charger: Charger, event: Event) -> Result:
    """The CSMS is sent Authorize; its verdict is in the result.

    It claims no connector, and it is sent also for a token that the cache or the local list knows. A verdict
    other than Accepted is `rejected`. While the charger is offline it is `failed`.
    """
    find_connector(charger, event)
    token = read_token(charger, event)

    def take(answer: Payload) -> Outcome:
        charger.learn_token(token, answer[charger.info_field])
        return judge(charger, answer)

    return call_csms(charger, "Authorize", charger.authorize_payload(token), take)


REQUEST_ID = Field(
    name="request_id",
    type="integer",
    nullable=True,
    minimum=0,
    maximum=2**31 - 1,
    description="In OCPP 2.0.1 the remoteStartId of the transaction.",
)


CHARGING_PROFILE = Field(
    name="charging_profile",
    type="object",
    nullable=True,
    description="A TxProfile, as RemoteStartTransaction or RequestStartTransaction has it.",
)


@action(
    ID_TAG, *PLACE, TOKEN_TYPE, REQUEST_ID, CHARGING_PROFILE, example={"id_tag": "CARD-1", "connector_id": 1}
)
def start_transaction(charger: Charger, event: Event) -> Result:
    """A transaction begins: StartTransaction, or TransactionEvent Started.

    Raw: without a cable, and without a check of the token; plugging and authorizing are up to the caller. The
    connector must be free. The CSMS's verdict on the token is in the result.
    """
    token = read_token(charger, event)
    connector = find_free(charger, event)
    if "charging_profile" in event:
        _install_profile(charger, connector, token, event["charging_profile"])
    connector.remote_start_id = event.get("request_id")
    return _start(charger, connector, token)


def _install_profile(charger: Charger, connector: Connector, token: Token, profile: Payload) -> None:
    """Raises Rejected for a profile that a remote start could not have."""
    name, request = charger.remote_start(connector, token, profile)
    try:
        schemas.check_payload(charger.version, name, request, answer=False)
    except SchemaViolation as violation:
        raise Rejected(f"charging_profile breaks its schema: {violation}"[:500]) from violation
    reason = charger.take_profile_of_start(request, connector)
    if reason is not None:
        raise Rejected(f"charging_profile is refused: {reason}")


def _start(charger: Charger, connector: Connector, token: Token) -> Result:
    trigger = "Authorized" if connector.remote_start_id is None else "RemoteStart"
    charger.station.transactions.start(connector, token, trigger)
    return started(charger, connector, describe_connector(charger, connector))


@action(ID_TAG, *PLACE, TOKEN_TYPE, example={"id_tag": "CARD-1", "connector_id": 1})
def authorize_and_start(charger: Charger, event: Event) -> Result:
    """The CSMS is sent Authorize, and if it accepts the token, a transaction begins.

    As authorize_id_tag and then start_transaction. The verdict of Authorize is in the result.
    """
    token = read_token(charger, event)
    connector = find_free(charger, event)

    def take(answer: Payload) -> Outcome:
        charger.learn_token(token, answer[charger.info_field])
        outcome = judge(charger, answer)
        if outcome.status == "applied" and not connector.is_free:
            return Outcome("rejected", "the connector was taken meanwhile", outcome.result)
        if outcome.status == "applied":
            charger.station.transactions.start(connector, token, "Authorized")
        return outcome._replace(result={**describe_connector(charger, connector), **(outcome.result or {})})

    return call_csms(charger, "Authorize", charger.authorize_payload(token), take)


def find_free(charger: Charger, event: Event) -> Connector:
    """Raises Rejected for a connector that is not free for a token."""
    connector = find_connector(charger, event)
    if connector.closed:
        raise Rejected("the charger is about to reboot")
    if not connector.is_free:
        raise Rejected(
            f"connector {connector.number} is not free: it is {charger.status_of(connector.number)}"
        )
    return connector


@action(
    Field(
        name="transaction_id",
        type="string",
        nullable=True,
        min_length=1,
        max_length=36,
        description="As the CSMS knows it; null: the first transaction that runs.",
    ),
    *PLACE,
    example={"transaction_id": "4711"},
    rejected_status=400,
)
def stop_transaction(charger: Charger, event: Event) -> Result:
    """The transaction ends: StopTransaction, or TransactionEvent Ended, with reason Local. The car stays."""
    connector = _find_running(charger, event)
    transaction = connector.transaction
    if transaction is None:
        raise Rejected(f"no transaction runs at connector {connector.number}")
    stopped = {"transaction_id": charger.transaction_id_of(transaction)}
    charger.station.transactions.end(connector, "StopAuthorized", "Local", transaction.token)
    return describe_connector(charger, connector) | stopped


def _find_running(charger: Charger, event: Event) -> Connector:
    wanted = event.get("transaction_id")
    if wanted is None:
        return find_connector(charger, event, lambda each: each.transaction)
    for connector, transaction in charger.station.running():
        if wanted.lower() in (transaction.id, charger.transaction_id_of(transaction).lower()):
            return connector
    raise Rejected(f"transaction_id {wanted} does not run here")
