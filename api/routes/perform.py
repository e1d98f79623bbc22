"""Stores actions, once per Idempotency-Key, and answers with what was stored or with what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from api.http.actions.answers import ActionNotApplied, counts_of, queued_of, status_url
from api.http.actions.queries import ActionQuery
from api.http.auth import requester
from api.http.idempotency_key import REPLAYED_HEADER, this_attempt
from api.http.waits import TooManyWaits, wait_for
from api.limits.slots import Full, FullForOrganization
from api.live.watcher import Actions
from api.resources import resources
from api.routes.respond import tolerating_read_errors
from api.routes.submit import requested_by
from shared.error_codes import ActionCode
from shared.fleet.actions.read import read_actions
from shared.fleet.actions.record import ActionReceipt, ActionRequest, Target, record_actions
from shared.fleet.actions.secrets import mask_event
from shared.fleet.actions.table import ActionKind
from shared.fleet.idempotency import Attempt, claim, release, store_receipt
from shared.models import Action
from shared.vocabulary import FINAL_ACTION, OPEN_ACTION, ActionStatus

log = structlog.get_logger(__name__)


def answer_with_counts(
    kind: ActionKind, target: Target, event: Mapping[str, Any], query: ActionQuery
) -> ResponseReturnValue:
    """The answer of group B (contract 9.2): 202, or with `wait` 200 if the actions of all chargers are final in time."""
    receipt = _submit(kind, target, event, query.expires_in_s)
    headers = _headers(receipt)
    if not query.wait_s:
        return counts_of(receipt), 202, headers
    ids = tuple(action.id for action in receipt.queued)
    if ids:
        wait_for(Actions(ids), query.wait_s)
    rows = _read(ids)
    done = all(row.status in FINAL_ACTION for row in rows.values())
    return counts_of(receipt, rows), 200 if done and len(rows) == len(ids) else 202, headers


def answer_with_result(
    kind: ActionKind, target: Target, event: Mapping[str, Any], query: ActionQuery
) -> ResponseReturnValue:
    """The answer of group A (contract 9.1): 200 and the charger's result. Raises ActionNotApplied, TooManyWaits."""
    receipt, row = _perform(kind, target, event, query)
    result = row.result or {}
    lacking = [
        field.name for field in kind.result_fields or () if field.required and field.name not in result
    ]
    if lacking:
        reason = f"The charger's answer lacks {', '.join(lacking)}"
        raise ActionNotApplied(row.id, reason, ActionCode.FAILED)
    return result, 200, _headers(receipt)


def answer_with_message(
    kind: ActionKind, target: Target, event: Mapping[str, Any], query: ActionQuery
) -> ResponseReturnValue:
    """The answer of proxy-message: 202, with the CSMS's answer in `result`. Raises ActionNotApplied, TooManyWaits."""
    receipt, row = _perform(kind, target, event, query)
    body = queued_of(receipt, receipt.actions[0])
    # The name of an operation is that of its action, but for a message (contract 9.1).
    body["event_type"], body["payload"] = receipt.event["action"], receipt.event["payload"]
    return body | {"status": row.status, "result": row.result, "reason": row.reason}, 202, _headers(receipt)


def _perform(
    kind: ActionKind, target: Target, event: Mapping[str, Any], query: ActionQuery
) -> tuple[ActionReceipt, Action]:
    """Store an action of one charger and wait until it is applied. Without a slot to wait in, nothing is stored."""
    organization_id = requester().organization_id
    try:
        with resources().watcher.slot(organization_id):
            receipt = _submit(kind, target, event, query.expires_in_s)
            action = receipt.actions[0]
            if action.status == ActionStatus.FAILED:
                raise ActionNotApplied(action.id, action.reason, action.reason_code)
            resources().watcher.wait_in_slot(
                Actions((action.id,)), query.wait_s, organization_id=organization_id
            )
    except (Full, FullForOrganization) as full:
        raise TooManyWaits from full
    row = _read([action.id]).get(action.id)
    if row is None or row.status in OPEN_ACTION:
        reason = f"The charger has not answered within {query.wait_s} s. It may still do so: see action {action.id}"
        raise ActionNotApplied(action.id, reason, ActionCode.NO_ANSWER)
    if row.status != ActionStatus.APPLIED:
        is_rejected = row.status == ActionStatus.REJECTED
        status = kind.rejected_status if is_rejected else 422
        raise ActionNotApplied(row.id, row.reason, row.reason_code, status=status)
    return receipt, row


def _submit(kind: ActionKind, target: Target, event: Mapping[str, Any], expires_in_s: int) -> ActionReceipt:
    """Store the actions; for a repeat with the same Idempotency-Key, return the first receipt.

    Raises TooManyOpen; InvalidRequest and KeyReused for a bad key, NoKeys, and as `record_actions`.
    """
    resources().action_quota.check(requester().organization_id)
    masked = mask_event(event, kind.fields)
    request = ActionRequest(
        name=kind.name,
        event=masked,
        sealed_event=None if masked == event else resources().sealer.seal(orjson.dumps(event).decode()),
        target=target,
        expires_in_s=expires_in_s,
        **requested_by(),
    )
    attempt = this_attempt() if kind.method == "POST" else None
    if attempt is None:
        with Session(resources().sessions.autocommit) as session:  # one statement, so one round trip
            receipt = record_actions(session, request)
    else:
        receipt = _record_once(request, attempt, failure_is_error=kind.answer != "queued")
    _announce(receipt)
    return receipt


def _record_once(request: ActionRequest, attempt: Attempt, *, failure_is_error: bool) -> ActionReceipt:
    """The key and the actions, in one transaction. After an error the key can be used again."""
    with resources().sessions.begin() as session:
        found = claim(session, attempt, ActionReceipt.replay)
        receipt = found or record_actions(session, request)
        if found is None and failure_is_error and not receipt.queued:
            release(session, attempt)
        elif found is None:
            store_receipt(session, attempt, receipt.stored())
    return receipt


def _announce(receipt: ActionReceipt) -> None:
    """To be called after the commit. A repeat gives a hint too: the first may be lost."""
    if receipt.queued:
        resources().hints.give()
    organization_id = requester().organization_id
    if receipt.queued and not receipt.replayed:
        resources().action_quota.add(organization_id, len(receipt.queued))
    log.info(
        "request.replayed" if receipt.replayed else "actions.accepted",
        event_type=receipt.name,
        queued=len(receipt.queued),
        failed=len(receipt.failed) + len(receipt.missing),
        first_id=receipt.actions[0].id if receipt.actions else None,
        organization_id=organization_id,
    )


def _read(ids: Sequence[int]) -> Mapping[int, Action]:
    """The rows by id. Empty when they cannot be read: they are stored, so the answer must not say that they are not."""
    rows: Sequence[Action] = ()
    with tolerating_read_errors(), resources().reads() as session:
        rows = read_actions(session, organization_id=requester().organization_id, action_ids=ids)
    return {row.id: row for row in rows}


def _headers(receipt: ActionReceipt) -> dict[str, str]:
    headers = {}
    if len(receipt.actions) == 1:
        headers["Location"] = status_url(receipt.actions[0].id)
    if receipt.replayed:
        headers[REPLAYED_HEADER] = "true"
    return headers
