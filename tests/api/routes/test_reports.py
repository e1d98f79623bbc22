"""What a charger reports over the control link is shown while it is connected, and said to be stale afterwards."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from shared.database.engine import Sessions
from shared.fleet.control import LINK_TIMEOUT
from shared.fleet.links import ACCEPTED
from shared.models import Charger, ChargerReport, ControlLink, ControlSession
from tests.support.control import connect, csms, disconnect, report
from tests.support.fleet import Fleet
from tests.support.watching import Watch

CONNECTOR = {
    "connector_id": 1,
    "evse_id": None,
    "status": "Charging",
    "plugged": True,
    "id_tag": "CARD-1",
    "reservation_id": None,
    "transaction_id": "4711",
    "transaction_energy_wh": 4100.5,
    "power_w": 11000.0,
    "energy_wh": 2513400.5,
    "soc_percent": 71.3,
    "fault": None,
}


def get(fleet: Fleet, charger_id: str) -> Any:
    return fleet.get(f"/ocpp/chargers/{charger_id}").json


def link_of(fleet: Fleet, charger_id: str) -> tuple[str | None, str | None]:
    """Its state and reason, which the list's filter and the charger agree about."""
    ocpp = get(fleet, charger_id)["runtime"]["ocpp"]
    listed = fleet.row(charger_id).link_state
    assert listed == ocpp["state"]
    return ocpp["state"], ocpp["reason"]


def test_a_charger_that_never_reported_has_no_connectors(fleet: Fleet) -> None:
    charger = get(fleet, fleet.ready())

    assert charger["connectors"] is None
    assert charger["control"] == {
        "connected": False,
        "since": None,
        "version": None,
        "reported_at": None,
        "stale": False,
        "remark": None,
    }


def test_connectors_are_shown_as_they_were_reported_and_are_stale_when_the_process_is_gone(
    fleet: Fleet, sessions: Sessions
) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    remark = {"level": "warning", "message": "too hot", "at": "2026-04-02T09:15:31.250Z"}
    report(sessions, charger_id, connectors=[CONNECTOR], remark=remark)

    live = get(fleet, charger_id)
    disconnect(sessions, charger_id)
    gone = get(fleet, charger_id)

    assert live["connectors"] == gone["connectors"] == [CONNECTOR]
    assert (live["control"]["connected"], live["control"]["stale"]) == (True, False)
    assert (gone["control"]["connected"], gone["control"]["stale"]) == (False, True)
    assert live["control"]["reported_at"] == gone["control"]["reported_at"] is not None
    assert live["control"]["remark"] == remark
    assert live["control"]["version"] == "0.1.0"


def test_a_session_on_a_link_that_has_died_counts_no_more(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    report(sessions, charger_id, csms=csms("accepted"))
    with sessions.begin() as session:
        session.execute(update(ControlLink).values(seen_at=func.now() - LINK_TIMEOUT))

    charger = get(fleet, charger_id)

    assert charger["control"]["connected"] is False
    assert charger["runtime"]["ocpp"]["state"] is None


def test_the_link_to_the_csms_is_the_report_while_the_process_is_connected_and_else_the_log(
    fleet: Fleet, sessions: Sessions
) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "connecting")
    connect(sessions, charger_id)
    assert link_of(fleet, charger_id) == ("connecting", None)

    report(sessions, charger_id, csms=csms("rejected", "the CSMS rejected this charger"))
    reported = get(fleet, charger_id)["runtime"]["ocpp"]
    assert link_of(fleet, charger_id) == ("rejected", "the CSMS rejected this charger")
    assert reported["since"] == "2026-04-02T09:15:31.250000Z"

    disconnect(sessions, charger_id)
    assert link_of(fleet, charger_id) == ("connecting", None)


def test_the_report_of_an_earlier_session_does_not_count(fleet: Fleet, sessions: Sessions) -> None:
    """Until the charger has reported in its new session nobody knows what became of its link meanwhile."""
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    report(sessions, charger_id, csms=csms("accepted"))
    disconnect(sessions, charger_id)

    reconnect(sessions, charger_id)
    before = link_of(fleet, charger_id)[0]
    assert get(fleet, charger_id)["control"]["stale"] is True
    report(sessions, charger_id, csms=csms("accepted"))

    assert (before, link_of(fleet, charger_id)[0]) == (None, "accepted")


def reconnect(sessions: Sessions, charger_id: str) -> None:
    with sessions.begin() as session:
        session.execute(
            update(ControlSession)
            .where(ControlSession.process_id == charger_id)
            .values(connected_at=func.clock_timestamp(), disconnected_at=None, session_id="another")
        )


def test_a_late_log_makes_no_reported_state_stale(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    report(sessions, charger_id, csms=csms("accepted"))

    assert get(fleet, charger_id)["runtime"]["ocpp"]["stale_reason"] is None


@pytest.mark.parametrize("generation", [1, 2])
def test_a_report_says_that_the_first_process_is_accepted_and_no_later_one(
    fleet: Fleet, sessions: Sessions, generation: int
) -> None:
    """The process that reports may be the one that a restart ends: only a log names its task."""
    charger_id = fleet.ready()
    fleet.settle(charger_id, generation=generation, observed_generation=2, settled_generation=2)
    connect(sessions, charger_id)
    report(sessions, charger_id, csms=csms("accepted"))

    with sessions() as session:
        accepted = session.scalars(select(ACCEPTED).where(Charger.id == charger_id)).one()
    assert accepted == (generation == 1)


@pytest.mark.parametrize(
    "said",
    [
        {"state": "accepted", "since": "yesterday"},
        {"state": "accepted", "since": "2026-99-99T09:15:31Z"},
        {"state": "accepted", "since": "0000-01-01T00:00:00Z"},
        {"state": "accepted", "since": 7},
        {"state": "accepted"},
    ],
)
def test_a_time_that_is_none_is_left_out(fleet: Fleet, sessions: Sessions, said: dict[str, Any]) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    report(sessions, charger_id, csms=said)

    assert get(fleet, charger_id)["runtime"]["ocpp"]["since"] is None
    assert link_of(fleet, charger_id)[0] == "accepted"


def test_the_31st_of_february_is_in_march(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    report(sessions, charger_id, csms=csms("accepted", since="2026-02-31T09:15:31Z"))

    assert get(fleet, charger_id)["runtime"]["ocpp"]["since"] == "2026-03-03T09:15:31Z"


def test_what_is_no_state_or_no_connector_is_not_shown(fleet: Fleet, sessions: Sessions) -> None:
    """A process may be hostile: its answers break nothing."""
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    wrong = {"connector_id": "one", "power_w": True, "plugged": 1, "status": 5, "secret": "x"}
    report(sessions, charger_id, csms={"state": "superb"}, connectors=[wrong], remark={"level": 1})

    charger = get(fleet, charger_id)

    assert charger["connectors"] == [dict.fromkeys(CONNECTOR)]
    assert charger["control"]["remark"] == {"level": None, "message": None, "at": None}
    assert charger["runtime"]["ocpp"]["state"] is None


def test_a_stream_shows_reports(fleet: Fleet, sessions: Sessions, watch: Watch) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    watching = watch(charger_id)
    snapshot = watching.next()

    report(sessions, charger_id, csms=csms("accepted"), connectors=[CONNECTOR])
    received = {one.event: one for one in (watching.next(), watching.next())}
    disconnect(sessions, charger_id)
    later = {one.event: one for one in (watching.next(), watching.next())}

    assert snapshot.data["connectors"] is None
    assert snapshot.data["control"]["connected"] is True
    assert received["ocpp"].data["state"] == "accepted"
    assert received["connectors"].data["connectors"] == [CONNECTOR]
    assert (received["connectors"].data["stale"], later["connectors"].data["stale"]) == (False, True)
    assert later["ocpp"].data["state"] is None


def test_a_report_is_sent_to_a_stream_that_continues(fleet: Fleet, sessions: Sessions, watch: Watch) -> None:
    charger_id = fleet.ready()
    connect(sessions, charger_id)
    last_id = watch(charger_id).next().id
    report(sessions, charger_id, connectors=[CONNECTOR])

    received = watch(charger_id, last_id).next()

    assert (received.event, received.id) == ("connectors", last_id)


def test_reports_of_many_chargers_are_noted_by_one_statement(fleet: Fleet, sessions: Sessions) -> None:
    first = fleet.ready()
    fleet.multiply(first, 50)
    with sessions() as session:
        charger_ids = session.scalars(select(Charger.id)).all()
    connect(sessions, *charger_ids)

    with sessions.begin() as session:
        session.execute(
            update(ChargerReport).values(csms=csms("accepted"), reported_at=func.clock_timestamp())
        )
    with sessions.begin() as session:
        session.execute(update(ControlSession).values(disconnected_at=func.clock_timestamp()))
        states = select(Charger.link_state, func.count()).group_by(Charger.link_state)
        after = session.execute(states).all()
    with sessions.begin() as session:
        session.execute(update(ControlSession).values(disconnected_at=None))
        revived = session.execute(states).all()

    assert after == [(None, len(charger_ids))]
    assert revived == [("accepted", len(charger_ids))]
