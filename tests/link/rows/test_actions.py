"""What the link writes on the rows of actions."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from link.rows.actions import ActionResult, expire_actions, write_results
from shared.database.engine import Sessions
from shared.fleet.actions.record import ActionRequest, Target, record_actions
from shared.models import Action, Charger
from tests.shared.fleet.test_charger_counts import charger
from tests.support.control import connect


@pytest.fixture
def action_id(sessions: Sessions) -> int:
    """A queued action with a secret."""
    row = charger("acme")
    row.id, row.provisioning_status = "dep-1", "READY"
    with sessions.begin() as session:
        session.add(row)
    connect(sessions, "dep-1")
    return _record(sessions)


def _record(sessions: Sessions) -> int:
    target = Target("dep-1")
    request = ActionRequest("configuration", {}, target, "acme", "ada", None, sealed_event="sealed")
    with sessions.begin() as session:
        [action] = record_actions(session, request).actions
    return action.id


def _sealed(sessions: Sessions, action_id: int) -> str | None:
    with sessions() as session:
        return session.get_one(Action, action_id).sealed_event


def test_a_secret_is_kept_until_its_action_is_final(sessions: Sessions, action_id: int) -> None:
    kept = []
    for status in ("received", "applied"):
        with sessions.begin() as session:
            write_results(session, [ActionResult(action_id, "dep-1", status)])
        kept.append(_sealed(sessions, action_id))

    assert kept == ["sealed", None]


def test_the_secret_of_an_action_that_expires_or_fails_at_once_is_not_kept(
    sessions: Sessions, action_id: int
) -> None:
    with sessions.begin() as session:
        session.execute(update(Action).values(expires_at=Action.created_at - timedelta(minutes=1)))
        session.execute(update(Charger).values(desired_count=0))
    failed_id = _record(sessions)
    with sessions.begin() as session:
        [expired] = expire_actions(session, "link-1")

    assert expired.status == "expired"
    assert (_sealed(sessions, action_id), _sealed(sessions, failed_id)) == (None, None)
