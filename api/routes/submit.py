"""Puts what a client asks for on record, once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog
from flask import g
from sqlalchemy.orm import Session

from api.http.auth import requester
from api.http.idempotency_key import REPLAYED_HEADER, this_attempt
from api.resources import resources
from shared.fleet.idempotency import Answer, claim, remember
from shared.fleet.receipts import CommandReceipt

log = structlog.get_logger(__name__)

Ask = Callable[[Session], CommandReceipt]


def accept(ask: Ask) -> CommandReceipt:
    """Put the wish on record in one transaction, then hint at it to the queue."""
    with resources().sessions.begin() as session:
        accepted = ask(session)
    _announce(accepted)
    return accepted


def accept_once(
    ask: Ask,
    answer: Callable[[CommandReceipt], Answer],
    *,
    without_key: Callable[[], CommandReceipt] | None = None,
) -> Answer:
    """As accept, but a repeat by its Idempotency-Key gives the first answer again. Raises KeyReused.

    `without_key` is a faster way for a request that has none.
    """
    attempt = this_attempt()
    if attempt is None and without_key is not None:
        accepted = without_key()
        _announce(accepted)
        return answer(accepted)
    if attempt is None:
        return answer(accept(ask))
    with resources().sessions.begin() as session:
        earlier = claim(session, attempt)
        if earlier is None:
            accepted = ask(session)
            first = answer(accepted)
            remember(session, attempt, first)
    if earlier is not None:
        log.info("request.replayed", route=attempt.route, organization_id=attempt.organization_id)
        return replace(earlier, headers=earlier.headers | {REPLAYED_HEADER: "true"})
    _announce(accepted)
    return first


def asked_by() -> dict[str, Any]:
    """Who asks for what the current request asks for: what every wish on record says."""
    who = requester()
    return {
        "organization_id": who.organization_id,
        "requested_by": who.subject,
        "request_id": g.request_id,
    }


def _announce(accepted: CommandReceipt) -> None:
    """After the commit."""
    resources().publisher.publish(accepted.messages)
    if not accepted.repeated:
        resources().open_quota.add(requester().organization_id)
        log.info(
            "command.accepted",
            charger_id=accepted.charger_id,
            command_id=str(accepted.command_id),
            event_type=accepted.event_type,
            generation=accepted.generation,
            organization_id=requester().organization_id,
        )
