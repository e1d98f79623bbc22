"""Renders receipts as answers: at once, or for `wait` when the event has happened or the time is up."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from api.http.charger_state import runtime_of
from api.http.idempotency_key import REPLAYED_HEADER
from api.http.queries import Until, WaitUntilQuery
from api.http.receipts import Body, body_of
from api.http.waits import wait_for
from api.limits.reads import TooManyReads
from api.live.watcher import Link, Provisioning
from api.resources import resources
from shared.database.engine import contention, is_unavailable
from shared.fleet.commands import read_command
from shared.fleet.links import Outcome, outcome_of
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger, Command
from shared.vocabulary import FINAL, IN_PROGRESS

log = structlog.get_logger(__name__)


def respond_to_create(receipt: CommandReceipt, query: WaitUntilQuery) -> ResponseReturnValue:
    """The answer to a create: 202, or 200 if what the client waits for happens in time."""
    body, status = body_of(receipt), 202
    if query.wait_s and query.until == Until.ACCEPTED:
        body, status = _when_accepted(receipt, body, query.wait_s)
    elif query.wait_s:
        body, status = _when_provisioned(receipt, body, query.wait_s)
    return body, status, _headers(receipt, body)


def respond_to_command(receipt: CommandReceipt, query: WaitUntilQuery) -> ResponseReturnValue:
    """The answer to a start, stop or restart: 202, or 200 if what the client waits for happens in time."""
    body, status = body_of(receipt), 202
    if query.wait_s and query.until == Until.ACCEPTED:
        body, status = _when_accepted(receipt, body, query.wait_s)
    elif query.wait_s:
        body, status = _when_final(receipt, body, query.wait_s)
    return body, status, _headers(receipt, body)


def _headers(receipt: CommandReceipt, body: Body) -> dict[str, str]:
    headers = {"Location": body["status_url"]}
    if receipt.replayed:
        headers[REPLAYED_HEADER] = "true"
    return headers


def _when_final(receipt: CommandReceipt, body: Body, wait_s: int) -> tuple[Body, int]:
    """200 with the command, once it is final."""
    command: Command | None = None
    wait_for(receipt.command_id, wait_s)
    with tolerating_read_errors(), resources().reads() as session:
        command = read_command(session, receipt.command_id)
    if command is None or command.status not in FINAL:
        return body, 202
    return body | {"command": command}, 200


def _when_provisioned(receipt: CommandReceipt, body: Body, wait_s: int) -> tuple[Body, int]:
    """200 with the command, once the charger is READY or FAILED."""
    charger: Charger | None = None
    command: Command | None = None
    wait_for(Provisioning(receipt.charger_id), wait_s)
    with tolerating_read_errors(), resources().reads() as session:
        charger = session.get(Charger, receipt.charger_id)
        command = read_command(session, receipt.command_id)
    if charger is None or charger.deleted_at is not None:
        return body, 202
    body = body | {"status": charger.provisioning_status}
    if charger.provisioning_status in IN_PROGRESS or command is None:
        return body, 202
    return body | {"command": command}, 200


def _when_accepted(receipt: CommandReceipt, body: Body, wait_s: int) -> tuple[Body, int]:
    """200 only if the CSMS accepted the charger; otherwise `runtime` shows the reason."""
    outcome: Outcome | None = None
    wait_for(Link(receipt.charger_id, receipt.generation), wait_s)
    with tolerating_read_errors(), resources().reads() as session:
        outcome = outcome_of(session, receipt.charger_id, receipt.command_id)
    if outcome is None:
        return body, 202
    body = body | {"runtime": runtime_of(outcome.charger)}
    if "status" in body:
        body["status"] = outcome.charger.provisioning_status
    if outcome.command is not None:
        body["command"] = outcome.command
    return body, 200 if outcome.accepted else 202


@contextmanager
def tolerating_read_errors() -> Iterator[None]:
    """Log an error of the database and go on: the command is committed, and a 503 would make the client send it again."""
    try:
        yield
    except TooManyReads:
        log.info("reading.busy")
    except SQLAlchemyError as error:
        first_line = str(error).partition("\n")[0]
        if is_unavailable(error):
            log.warning("database.away", error=first_line)
        elif contention(error) is not None:
            log.warning("database.contention", error=first_line)
        else:
            log.exception("reading.failed")
