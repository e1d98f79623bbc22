"""Answers that are held until something has happened: what a client may wait for, and the answer that it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError, validates, validates_schema
from sqlalchemy.exc import SQLAlchemyError

from api.http.charger_state import runtime_of
from api.http.fields import Choice, Problem
from api.http.schemas import WaitQuery
from api.limits.reads import TooManyReads
from api.limits.waits import wait_for
from api.live.watcher import Link, Provisioning, Settled
from api.resources import resources
from shared.database.engine import is_unavailable
from shared.fleet.chargers import IN_PROGRESS
from shared.fleet.idempotency import Answer
from shared.fleet.links import Outcome, outcome_of
from shared.models import Charger, Command
from shared.vocabulary import FINAL

log = structlog.get_logger(__name__)


class Until(StrEnum):
    """What a request waits for."""

    FINAL = "final"  #: the command is final
    ACCEPTED = "accepted"  #: and the CSMS has accepted the charger's boot


class WaitUntilQuery(WaitQuery):
    until = Choice(
        Until,
        load_default=None,
        metadata={
            "description": "What to wait for: `final` (the default), or `accepted`: the CSMS accepted the boot of the "
            "process that runs then. Needs `wait`. Beyond the contract.",
            "default": str(Until.FINAL),
        },
    )

    @validates_schema
    def _check_until(self, data: dict[str, Any], **_: Any) -> None:
        if data["until"] is not None and not data["wait"]:
            problem = Problem("'until' needs 'wait': for how many seconds at most, 1 to 60", "value_error")
            raise ValidationError(problem, "until")


class StopQuery(WaitUntilQuery):
    """There is no boot to wait for after a stop."""

    until = Choice(
        Until,
        load_default=None,
        metadata={
            "description": "Needs `wait`. Beyond the contract.",
            "enum": [str(Until.FINAL)],
            "default": str(Until.FINAL),
        },
    )

    @validates("until")
    def _check_that_it_can_be(self, until: str | None, **_: Any) -> None:
        if until == Until.ACCEPTED:
            problem = Problem(
                "A charger that stops is not accepted by its CSMS: after a stop, 'until' can be 'final' only",
                "value_error",
            )
            raise ValidationError(problem)


def wait_for_charger(charger_id: str, query: dict[str, Any]) -> None:
    """Return when nothing is open for the charger, or when its CSMS accepts it; or when that cannot come.

    The query says for how long: its `wait` is not 0.
    """
    target = Link(charger_id) if query["until"] == Until.ACCEPTED else Settled(charger_id)
    wait_for(target, query["wait"])


def answer_lifecycle(answer: Answer, query: dict[str, Any]) -> ResponseReturnValue:
    """The answer to a start, stop or restart: 200 if what is waited for comes in time."""
    if not query["wait"]:
        return answer.body, answer.status, answer.headers
    if query["until"] == Until.ACCEPTED:
        return _answer_when_accepted(answer, answer.body["id"], query["wait"])
    return _answer_when_final(answer, query["wait"])


def answer_create(answer: Answer, query: dict[str, Any]) -> ResponseReturnValue:
    """The answer to a create: 200 if what is waited for comes in time."""
    if not query["wait"]:
        return answer.body, answer.status, answer.headers
    if query["until"] == Until.ACCEPTED:
        return _answer_when_accepted(answer, answer.body["charger_id"], query["wait"])
    return _answer_when_provisioned(answer, query["wait"])


def _answer_when_final(answer: Answer, wait_s: int) -> ResponseReturnValue:
    command: Command | None = None
    command_id = UUID(answer.body["command_id"])
    wait_for(command_id, wait_s)
    with _accepted_all_the_same(), resources().reads() as session:
        command = session.get(Command, command_id)
    if command is not None and command.status in FINAL:
        return answer.body | {"command": command}, 200, answer.headers
    return answer.body, answer.status, answer.headers


def _answer_when_provisioned(answer: Answer, wait_s: int) -> ResponseReturnValue:
    """READY or FAILED is what a create waits for."""
    charger: Charger | None = None
    command: Command | None = None
    charger_id = answer.body["charger_id"]
    wait_for(Provisioning(charger_id), wait_s)
    with _accepted_all_the_same(), resources().reads() as session:
        charger = session.get(Charger, charger_id)
        command = session.get(Command, UUID(answer.body["command_id"]))
    if charger is not None and charger.deleted_at is None:
        body = answer.body | {"status": charger.provisioning_status}
        if charger.provisioning_status not in IN_PROGRESS and command is not None:
            return body | {"command": command}, 200, answer.headers
        return body, answer.status, answer.headers
    return answer.body, answer.status, answer.headers


def _answer_when_accepted(answer: Answer, charger_id: str, wait_s: int) -> ResponseReturnValue:
    """200 only if the CSMS accepted the charger; otherwise the answer shows the charger, and so the reason."""
    outcome: Outcome | None = None
    wait_for(Link(charger_id, answer.body["generation"]), wait_s)
    with _accepted_all_the_same(), resources().reads() as session:
        outcome = outcome_of(session, charger_id, UUID(answer.body["command_id"]))
    if outcome is None:
        return answer.body, answer.status, answer.headers
    body = answer.body | {"runtime": runtime_of(outcome.charger)}
    if "status" in body:
        body["status"] = outcome.charger.provisioning_status
    if outcome.command is not None:
        body["command"] = outcome.command
    return body, 200 if outcome.accepted else answer.status, answer.headers


@contextmanager
def _accepted_all_the_same() -> Iterator[None]:
    """It is on record: a 503 now would make the client send it once more."""
    try:
        yield
    except TooManyReads:
        log.info("reading.busy")
    except SQLAlchemyError as error:
        log.warning(
            "database.away" if is_unavailable(error) else "database.contention",
            error=str(error).partition("\n")[0],
        )
