"""Stores what a client requests, once per Idempotency-Key, and publishes its message after the commit."""

from collections.abc import Sequence
from typing import TypedDict

import structlog
from flask import g
from sqlalchemy.orm import Session

from api.http.auth import requester
from api.http.idempotency_key import this_attempt
from api.http.receipts import body_of
from api.limits.open_rows import TooManyOpen
from api.resources import resources
from shared.fleet import chargers
from shared.fleet.chargers import CreateRequest, DeleteRequest, UpdateRequest
from shared.fleet.commands import LifecycleRequest, record_command
from shared.fleet.idempotency import Attempt, claim, store_receipt
from shared.fleet.locations.chargers import UpdatedPortion, update_portion
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger

log = structlog.get_logger(__name__)


class RequestedBy(TypedDict):
    """The fields of a request to shared/fleet that say who sent it."""

    organization_id: str
    requested_by: str
    request_id: str | None


def requested_by() -> RequestedBy:
    """Who sent the current request. Only on routes behind authenticate_tenant."""
    client = requester()
    return {
        "organization_id": client.organization_id,
        "requested_by": client.subject,
        "request_id": g.request_id,
    }


def submit(request: CreateRequest | LifecycleRequest) -> CommandReceipt:
    """Store the request as a command. Returns its receipt; for a repeat with the same Idempotency-Key, the first one.

    Raises TooManyOpen; InvalidRequest and KeyReused for a bad key; and as `create_charger` or `record_command`.
    """
    resources().open_quota.check(request.organization_id)
    attempt = this_attempt()
    if attempt is not None:
        receipt = _record_once(request, attempt)
    elif isinstance(request, LifecycleRequest):
        receipt = resources().batcher.record(request)
    else:
        with resources().sessions.begin() as session:
            receipt = _record(session, request)
    if not receipt.replayed:
        _announce(receipt)
    return receipt


def submit_update(request: UpdateRequest) -> Charger:
    """Change a charger. Returns its row. Raises TooManyOpen, and as `update_charger`."""
    resources().open_quota.check(request.organization_id)
    with resources().sessions.begin() as session:
        charger, receipt = chargers.update_charger(session, request, sealer=resources().sealer)
    resources().hints.give()
    _announce(receipt)
    return charger


def submit_updates(requests: Sequence[UpdateRequest], location_id: str) -> UpdatedPortion:
    """Change a portion of a location's chargers, which all fail when too many commands are open meanwhile."""
    try:
        resources().open_quota.check(requests[0].organization_id)
    except TooManyOpen as error:
        return UpdatedPortion({}, {request.charger_id: str(error) for request in requests}, [])
    with resources().sessions.begin() as session:
        portion = update_portion(session, requests, location_id=location_id, sealer=resources().sealer)
    resources().hints.give()
    announce_many(portion.receipts)
    return portion


def submit_delete(request: DeleteRequest) -> None:
    """Delete a charger, also when too many commands are open. Raises as `delete_charger`."""
    with resources().sessions.begin() as session:
        receipt = chargers.delete_charger(session, request)
    _announce(receipt)


def announce_many(receipts: Sequence[CommandReceipt]) -> None:
    """Publish the messages of new commands, and count and log the commands. To be called after their commit."""
    if not receipts:
        return
    resources().publisher.publish(message for receipt in receipts for message in receipt.messages)
    organization_id = requester().organization_id
    resources().open_quota.add(organization_id, len(receipts))
    log.info(
        "commands.accepted",
        event_type=receipts[0].event_type,
        commands=len(receipts),
        first_charger_id=receipts[0].charger_id,
        organization_id=organization_id,
    )


def _record_once(request: CreateRequest | LifecycleRequest, attempt: Attempt) -> CommandReceipt:
    """The key and the command, in one transaction."""
    with resources().sessions.begin() as session:
        receipt = claim(session, attempt, CommandReceipt.replay)
        if receipt is None:
            receipt = _record(session, request)
            body = body_of(receipt)
            store_receipt(session, attempt, receipt.stored(), location=body["status_url"], body=body)
    if receipt.replayed:
        log.info("request.replayed", route=attempt.route, organization_id=attempt.organization_id)
    return receipt


def _record(session: Session, request: CreateRequest | LifecycleRequest) -> CommandReceipt:
    if isinstance(request, LifecycleRequest):
        return record_command(session, request)
    quota = resources().settings.chargers_per_organization
    return chargers.create_charger(session, request, max_chargers=quota, sealer=resources().sealer)


def _announce(receipt: CommandReceipt) -> None:
    """Publish the command's message, and count and log the command if it is new. To be called after the commit."""
    resources().publisher.publish(receipt.messages)
    if receipt.repeated:
        return
    organization_id = requester().organization_id
    resources().open_quota.add(organization_id)
    log.info(
        "command.accepted",
        charger_id=receipt.charger_id,
        command_id=str(receipt.command_id),
        event_type=receipt.event_type,
        generation=receipt.generation,
        organization_id=organization_id,
    )
