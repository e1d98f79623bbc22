"""Recording actions: any target, in one statement."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.actions import record
from shared.fleet.actions.record import ActionRequest, Target, record_actions
from shared.fleet.errors import ChargerNotFound, LocationNotFound, LocationTooLarge
from shared.models import Action, ChargerReport, ControlLink, ControlSession
from tests.shared.fleet.test_charger_counts import NOW, charger

LOCATIONS = ("here", "there", None)
ORGANIZATIONS = ("acme", "globex")


@dataclass(frozen=True)
class Given:
    """A charger, and what its actions can expect."""

    organization_id: str
    location_id: str | None
    is_deleted: bool
    code: str | None  #: the reason code of its actions; None when they are queued

    def add(self, session: Session, charger_id: str) -> None:
        row = charger(self.organization_id)
        row.id, row.location_id = charger_id, self.location_id
        row.provisioning_status = "PENDING" if self.code == "charger_not_ready" else "READY"
        row.desired_count = 0 if self.code == "charger_stopped" else 1
        row.deleted_at = NOW if self.is_deleted else None
        session.add(row)
        session.flush()
        session.add(ChargerReport(charger_id=charger_id, process_id=charger_id, boot_id="boot"))
        gone = NOW if self.code == "charger_not_connected" else None
        session.add(
            ControlSession(
                process_id=charger_id,
                session_id="s",
                boot_id="boot",
                link_id="link",
                connected_at=NOW,
                disconnected_at=gone,
            )
        )


ids = st.integers(0, 6).map("dep-{}".format)
targets = st.one_of(
    st.builds(Target, charger_id=ids),
    st.builds(Target, location_id=st.sampled_from(["here", "there", "nowhere"])),
    st.builds(
        Target,
        location_id=st.sampled_from(["here", "there", "nowhere"]),
        charger_ids=st.lists(ids, min_size=1, max_size=4, unique=True).map(tuple),
    ),
)
fleets = st.lists(
    st.builds(
        Given,
        organization_id=st.sampled_from(ORGANIZATIONS),
        location_id=st.sampled_from(LOCATIONS),
        is_deleted=st.sampled_from([False, False, False, True]),
        code=st.sampled_from([None, None, "charger_not_ready", "charger_stopped", "charger_not_connected"]),
    ),
    max_size=6,
)


def _request(target: Target, **more: Any) -> ActionRequest:
    defaults: dict[str, Any] = {"organization_id": "acme", "requested_by": "ada", "request_id": None}
    return ActionRequest("plug_connector", {"connector_id": 1}, target, **defaults | more)


def _expected(fleet: dict[str, Given], target: Target) -> dict[str, str | None] | type[Exception]:
    """The reason code by charger, or the error."""
    own = {
        charger_id: each
        for charger_id, each in fleet.items()
        if each.organization_id == "acme" and not each.is_deleted
    }
    if target.charger_id is not None:
        found = {id_: each.code for id_, each in own.items() if id_ == target.charger_id}
        return found or ChargerNotFound
    # A charger's location exists, also when the charger is deleted.
    if ("acme", target.location_id) not in {
        (each.organization_id, each.location_id) for each in fleet.values()
    }:
        return LocationNotFound
    of_location = {id_: each.code for id_, each in own.items() if each.location_id == target.location_id}
    return {
        id_: code
        for id_, code in of_location.items()
        if target.charger_ids is None or id_ in target.charger_ids
    }


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_fleet=fleets, target=targets)
def test_each_charger_of_any_target_gets_an_action_and_no_other(
    sessions: Sessions, given_fleet: list[Given], target: Target
) -> None:
    fleet = {f"dep-{number}": each for number, each in enumerate(given_fleet)}
    with sessions() as session:
        session.add(ControlLink(id="link", seen_at=text("now()")))
        for charger_id, each in fleet.items():
            each.add(session, charger_id)
        session.flush()

        expected = _expected(fleet, target)
        if isinstance(expected, type):
            with pytest.raises(expected):
                record_actions(session, _request(target))
            receipt, codes = None, {}
        else:
            receipt, codes = record_actions(session, _request(target)), expected
        columns = (Action.charger_id, Action.status, Action.boot_id, Action.reason_code, Action.reason)
        rows = session.execute(select(*columns, Action.finished_at).order_by(Action.id)).all()
        session.rollback()

    assert [(row.charger_id, row.reason_code) for row in rows] == sorted(codes.items())
    if receipt is not None:
        assert {each.charger_id: each.reason_code for each in receipt.actions} == codes
        assert set(receipt.missing) == {*(target.charger_ids or ())} - codes.keys()
    for row in rows:
        assert (row.status, row.boot_id) == ("failed" if row.reason_code else "queued", "boot")
        assert (row.finished_at is None, row.reason is None) == (row.reason_code is None,) * 2


def test_a_location_with_too_many_chargers_is_refused_unless_some_are_named(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MAX_CHARGERS", 2)
    with sessions.begin() as session:
        for number in range(3):
            Given("acme", "here", False, None).add(session, f"dep-{number}")

    with sessions.begin() as session, pytest.raises(LocationTooLarge, match="more than 2 chargers"):
        record_actions(session, _request(Target(location_id="here")))
    with sessions.begin() as session:
        receipt = record_actions(session, _request(Target(location_id="here", charger_ids=("dep-1",))))

    assert [each.charger_id for each in receipt.actions] == ["dep-1"]
