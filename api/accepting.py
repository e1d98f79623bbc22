"""Puts what a client asks for on record, once, and answers: at once, or when it is final."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog
from flask import g
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.auth import requester
from api.idempotency import REPLAYED_HEADER, this_attempt
from api.parts import parts
from api.reading import TooManyReads
from api.services.accepted import Accepted
from api.services.chargers import IN_PROGRESS
from api.services.idempotency import Answer, claim, remember
from api.waits import wait_for
from api.watcher import Provisioning
from shared.commands import FINAL
from shared.database import is_outage
from shared.models import Charger, Command

log = structlog.get_logger(__name__)

Ask = Callable[[Session], Accepted]


def accept(ask: Ask) -> Accepted:
    """Put the wish on record in one transaction, then hint at it to the queue."""
    with parts().sessions.begin() as session:
        accepted = ask(session)
    _announce(accepted)
    return accepted


def accept_once(
    ask: Ask, answer: Callable[[Accepted], Answer], *, without_key: Callable[[], Accepted] | None = None
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
    with parts().sessions.begin() as session:
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


def answer_when_final(answer: Answer, wait_s: int) -> ResponseReturnValue:
    """The answer to a start, stop or restart: 200 if the command ends while it is waited for."""
    if wait_s:
        command: Command | None = None
        command_id = UUID(answer.body["command_id"])
        wait_for(command_id, wait_s)
        with _accepted_all_the_same(), parts().statements() as session:
            command = session.get(Command, command_id)
        if command is not None and command.status in FINAL:
            return answer.body | {"command": command}, 200, answer.headers
    return answer.body, answer.status, answer.headers


def answer_when_provisioned(answer: Answer, wait_s: int) -> ResponseReturnValue:
    """The answer to a create: 200 if the charger is READY or FAILED while it is waited for."""
    if wait_s:
        charger: Charger | None = None
        charger_id = answer.body["charger_id"]
        wait_for(Provisioning(charger_id), wait_s)
        with _accepted_all_the_same(), parts().statements() as session:
            charger = session.get(Charger, charger_id)
            command = session.get(Command, UUID(answer.body["command_id"]))
        if charger is not None and charger.deleted_at is None:
            body = answer.body | {"status": charger.provisioning_status}
            if charger.provisioning_status not in IN_PROGRESS:
                return body | {"command": command}, 200, answer.headers
            return body, answer.status, answer.headers
    return answer.body, answer.status, answer.headers


@contextmanager
def _accepted_all_the_same() -> Iterator[None]:
    """It is on record: a 503 now would make the client ask for it once more."""
    try:
        yield
    except TooManyReads:
        log.info("reading.busy")
    except SQLAlchemyError as error:
        log.warning(
            "database.away" if is_outage(error) else "database.contention",
            error=str(error).partition("\n")[0],
        )


def _announce(accepted: Accepted) -> None:
    """After the commit."""
    parts().publisher.publish(accepted.messages)
    if not accepted.repeated:
        log.info(
            "command.accepted",
            charger_id=accepted.charger_id,
            command_id=str(accepted.command_id),
            event_type=accepted.event_type,
            generation=accepted.generation,
            organization_id=requester().organization_id,
        )
