"""An organization has a limited number of open actions; others are not affected."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from api.limits import open_rows
from shared.database.engine import Sessions
from shared.settings import Settings
from shared.vocabulary import ActionStatus
from tests.api.conftest import client_of
from tests.support.control import actions_of, connect, finish
from tests.support.environment import Token
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until

PLUG = "/ocpp/commands/plug-connector"
MAX_OPEN = 5


@pytest.fixture
def small(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setattr(open_rows, "COUNT_EVERY_S", 0.05)
    yield from client_of(replace(settings, open_actions_per_organization=MAX_OPEN))


def test_an_action_too_many_waits_for_others_to_become_final(
    small: FlaskClient, sessions: Sessions, token: Token
) -> None:
    fleet = Fleet(small, sessions, token)
    ours, theirs = fleet.ready("acme"), fleet.ready("globex")
    connect(sessions, ours, theirs)
    stored = [fleet.post(PLUG, json={"target": {"charger_id": ours}}) for _ in range(MAX_OPEN)]

    wait_until(lambda: fleet.post(PLUG, json={"target": {"charger_id": "dep-none"}}).status_code == 429)
    refused = fleet.post(PLUG, json={"target": {"charger_id": ours}})
    others = fleet.post(PLUG, organization="globex", json={"target": {"charger_id": theirs}})
    for action in actions_of(sessions, ours):
        finish(sessions, action.id, ActionStatus.APPLIED)

    assert [answer.json["queued_count"] for answer in stored] == [1] * MAX_OPEN
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert refused.json["detail"].startswith("5 actions of the organization are not final")
    assert others.json["queued_count"] == 1
    wait_until(lambda: fleet.post(PLUG, json={"target": {"charger_id": ours}}).status_code == 202)
