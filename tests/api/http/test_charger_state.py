"""The runtime of a charger: what should run, what was observed, and the link to the CSMS."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, update
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.attributes import set_committed_value

from api.http.charger_state import newest_command_of, runtime_of
from api.http.fleet.rows import NewestCommand, Runtime, written
from api.http.schemas import ChargerAnswer, ChargerPage
from shared.fleet.chargers import get_charger
from shared.models import Charger, LogCursor
from shared.vocabulary import CommandStatus
from tests.support.fleet import Fleet
from tests.support.links import line, read_lines


@pytest.mark.parametrize(
    ("counts", "desired", "observed"),
    [
        ((1, 1, 0), "running", "running"),
        ((1, 0, 1), "running", "starting"),
        ((1, 0, 0), "running", "starting"),
        ((0, 1, 0), "stopped", "stopping"),
        ((0, 0, 1), "stopped", "stopping"),
        ((0, 0, 0), "stopped", "stopped"),
    ],
)
def test_the_runtime_shows_the_desired_and_the_observed_state(
    fleet: Fleet, counts: tuple[int, int, int], desired: str, observed: str
) -> None:
    charger_id = fleet.ready()
    shown = dict(zip(("desired_count", "running_count", "pending_count"), counts, strict=True))
    fleet.settle(charger_id, **shown)

    runtime = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]

    assert runtime.items() >= shown.items()
    assert (runtime["desired"], runtime["observed"], runtime["stale"]) == (desired, observed, False)


def test_a_charger_that_was_never_observed_is_unknown(fleet: Fleet) -> None:
    runtime = fleet.get(f"/ocpp/chargers/{fleet.create()}").json["runtime"]

    assert runtime["observed"] == "unknown"
    assert runtime["observed_at"] is None
    assert runtime["stale"] is False


def test_an_old_observation_is_marked_stale(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, observed_at=datetime.now(UTC) - timedelta(hours=1))

    assert fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]["stale"] is True


def test_staleness_does_not_depend_on_the_clock_of_the_apis_host(fleet: Fleet, app: Flask) -> None:
    """A time of a day ago, as a host sees it whose clock is a day ahead of the database's."""
    charger_id = fleet.ready()
    with fleet.sessions.begin() as session:
        of_charger = update(Charger).where(Charger.id == charger_id)
        session.execute(of_charger.values(observed_at=func.now() - timedelta(seconds=100)))
        charger = session.get_one(Charger, charger_id, options=[joinedload(Charger.link)])
    set_committed_value(charger, "observed_at", datetime.now(UTC) - timedelta(days=1))

    with app.app_context():
        stale = runtime_of(charger).stale

    assert (charger.unobserved_for, stale) == (timedelta(seconds=100), False)


def test_rows_are_written_as_their_schemas_would(fleet: Fleet, app: Flask) -> None:
    """Lists write them without marshmallow, which takes longer."""
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    error = {"code": "task_exited", "message": "It exited", "step": None, "retryable": False}
    fleet.finish(charger_id, CommandStatus.FAILED, error)
    with fleet.sessions() as session, app.app_context():
        charger = get_charger(session, organization_id="acme", charger_id=charger_id)
        runtime, command = runtime_of(charger), newest_command_of(charger)
        (listed,) = ChargerPage(only=("data",)).dump({"data": [charger]})["data"]
        row = ChargerAnswer().dump(charger)

    assert listed == row
    assert written(runtime) == Runtime().dump(runtime) == row["runtime"]
    assert command is not None
    assert written(command) == NewestCommand().dump(command) == row["command"]


@pytest.mark.parametrize("lag_s", [None, 0, 20, 95])
def test_a_link_says_when_the_logs_are_read_late(fleet: Fleet, lag_s: int | None) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    if lag_s is not None:
        with fleet.sessions.begin() as session:
            through = func.now() - timedelta(seconds=lag_s)
            session.add(LogCursor(log_group="/chargers", read_until_ms=0, read_through=through))
            session.add(LogCursor(log_group="/chargers:late", read_until_ms=0))

    link = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]["ocpp"]

    late = "The chargers' logs are read 95 s late, so the link may have changed since"
    assert (link["state"], link["stale_reason"]) == ("accepted", late if lag_s == 95 else None)


def test_a_charger_that_does_not_run_is_disconnected_everywhere(fleet: Fleet) -> None:
    """Its process was killed, so its log still ends with `accepted`."""
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")

    fleet.settle(charger_id, running_count=0)

    runtime = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]
    found = fleet.get("/ocpp/chargers?ocpp_state=disconnected").json["data"]
    waited = fleet.get(f"/ocpp/chargers/{charger_id}?wait=1&until=accepted").json
    assert runtime["ocpp"]["state"] == "disconnected"
    assert runtime["ocpp"]["reason"] == "The charger's process does not run"
    assert runtime["ocpp"]["since"] == runtime["observed_since"]
    assert [row["runtime"] for row in found] == [runtime] == [waited["runtime"]]
    assert fleet.get("/ocpp/chargers?ocpp_state=accepted").json["data"] == []


def test_the_runtime_shows_the_link_to_the_csms(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    moment = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    fleet.settle(charger_id, reason="The task stopped", reason_code="task_exited")
    read_lines(
        fleet.sessions,
        line(charger_id, None, moment),
        line(charger_id, "disconnected", moment, reason="connection_refused"),
    )

    runtime = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]

    assert (runtime["reason"], runtime["reason_code"]) == ("The task stopped", "task_exited")
    assert runtime["ocpp"] == {
        "state": "disconnected",
        "reason": "connection_refused",
        "since": "2026-04-02T09:00:00Z",
        "last_frame_at": "2026-04-02T09:00:00Z",
        "stale_reason": None,
    }
