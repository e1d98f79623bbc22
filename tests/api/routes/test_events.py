"""A charger's events: each is sent as it happens, once, in order, and after the last one that the client read."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import sleep

import pytest
from sqlalchemy import update

from shared.database.engine import Sessions
from shared.models import Charger
from shared.vocabulary import EventType, ProvisioningStatus
from tests.support.fleet import Fleet
from tests.support.links import line, read_lines
from tests.support.watching import Watch, event_ids


def test_a_stream_begins_with_a_snapshot_of_the_charger(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()

    watching = watch(charger_id)
    first = watching.next()

    assert first.event == "snapshot"
    assert first.data["status"] == "READY"
    assert first.data["runtime"] == fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]
    assert first.data["command"]["event_type"] == "create_charger"
    headers = watching.answer.headers
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-store"


def test_a_stream_shows_every_status_of_a_command(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)
    watching.next()

    accepted = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger").json
    fleet.settle(charger_id, running_count=0)
    fleet.finish(charger_id)
    queued, stopped, done = watching.next(), watching.next(), watching.next()

    assert (queued.event, stopped.event, done.event) == ("command", "status", "command")
    assert queued.data.pop("at").endswith("Z")
    assert queued.data == {
        "id": accepted["command_id"],
        "event_type": "stop_charger",
        "generation": 2,
        "status": "queued",
        "error": None,
    }
    assert (stopped.data["desired"], stopped.data["observed"]) == ("stopped", "stopped")
    assert (done.data["id"], done.data["status"]) == (accepted["command_id"], "succeeded")
    assert queued.id < stopped.id < done.id


def test_a_stream_shows_the_link_to_the_csms(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)
    watching.next()

    fleet.link(charger_id, "rejected", reason="401", at=datetime(2026, 4, 2, 9, 15, 31, tzinfo=UTC))
    received = watching.next()

    assert received.event == "ocpp"
    del received.data["at"]
    assert received.data == {"state": "rejected", "reason": "401", "since": "2026-04-02T09:15:31Z"}


def test_a_stream_shows_that_a_charger_is_disconnected_because_nothing_runs(
    fleet: Fleet, watch: Watch
) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    watching = watch(charger_id)
    watching.next()

    fleet.settle(charger_id, running_count=0)
    received = watching.next()
    runtime = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]["ocpp"]

    assert received.event == "ocpp"
    assert {name: received.data[name] for name in ("state", "reason", "since")} == {
        "state": "disconnected",
        "reason": "The charger's process does not run",
        "since": runtime["since"],
    }


def test_an_observation_without_a_change_is_no_event(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    before = event_ids(sessions, charger_id)

    fleet.settle(charger_id, running_count=1)
    read_lines(sessions, line(charger_id, "accepted"), line(charger_id, None))

    assert event_ids(sessions, charger_id) == before


def test_a_stream_continues_after_the_last_event_that_was_read(
    fleet: Fleet, watch: Watch, sessions: Sessions
) -> None:
    """It comes again for each event, and misses none and reads none twice."""
    charger_id = fleet.ready()
    last_id = watch(charger_id).next().id
    for action in ("stop", "start", "reset", "stop"):
        fleet.post(f"/ocpp/chargers/{charger_id}/{action}-charger")

    received = []
    for _ in range(4):
        watching = watch(charger_id, last_id)
        received.append(watching.next())
        watching.close()
        last_id = received[-1].id

    assert [one.data["event_type"].partition("_")[0] for one in received] == [
        "stop",
        "start",
        "reset",
        "stop",
    ]
    assert [one.id for one in received] == event_ids(sessions, charger_id)[-4:]


def test_concurrent_changes_are_streamed_in_the_order_of_their_commits(
    fleet: Fleet, watch: Watch, sessions: Sessions
) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)
    seen = [watching.next().id]

    def change(number: int) -> None:
        with sessions.begin() as session:
            charger = session.get_one(Charger, charger_id, with_for_update=True)
            charger.pending_count = (charger.pending_count + 1) % 30_000
            session.flush()
            sleep(0.001 * (number % 3))

    with ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(change, number) for number in range(60)]
        seen += [watching.next().id for _ in changes]
        for one in changes:
            one.result()

    assert seen == sorted(seen)
    assert seen[1:] == event_ids(sessions, charger_id)[-60:]


def test_a_stream_ends_with_its_charger(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)

    fleet.delete(f"/ocpp/chargers/{charger_id}")
    received = list(watching.events)

    assert [one.event for one in received] == ["snapshot", "command"]
    assert received[-1].data["event_type"] == EventType.DELETE_CHARGER
    assert fleet.get(f"/ocpp/chargers/{charger_id}/events").status_code == 404


def test_another_organization_cannot_watch(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    for headers in ({}, {"Last-Event-ID": "0"}):
        answer = fleet.get(f"/ocpp/chargers/{charger_id}/events", organization="globex", headers=headers)
        assert answer.status_code == 404


@pytest.mark.parametrize("last_id", ["", "-1", "abc", "1e3", "9" * 19, "²"])
def test_an_invalid_last_event_id_is_refused(fleet: Fleet, last_id: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/{fleet.ready()}/events", headers={"Last-Event-ID": last_id})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["header", "Last-Event-ID"]


def test_the_event_of_a_failed_charger_has_its_error(fleet: Fleet, watch: Watch, sessions: Sessions) -> None:
    charger_id = fleet.create()
    watching = watch(charger_id)
    watching.next()
    error = {"code": "image_unavailable", "message": "The image cannot be pulled"}

    with sessions.begin() as session:
        session.execute(
            update(Charger).values(
                provisioning_status=ProvisioningStatus.FAILED, error=error, desired_count=0
            )
        )
    received = watching.next()

    assert (received.event, received.data["status"], received.data["error"]) == ("status", "FAILED", error)


def test_an_id_that_no_event_has_yet_is_refused(fleet: Fleet, watch: Watch, sessions: Sessions) -> None:
    """As after a restore of the database: the stream would be silent for ever."""
    charger_id = fleet.ready()
    newest = event_ids(sessions, charger_id)[-1]
    path = f"/ocpp/chargers/{charger_id}/events"

    refused = fleet.get(path, headers={"Last-Event-ID": str(newest + 1)})
    watch(charger_id, newest)

    assert refused.status_code == 422
    assert refused.json["detail"][0]["loc"] == ["header", "Last-Event-ID"]
