"""What a row of the list shows beyond the contract: what needs attention and why, and the newest command."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, update

from shared.models import Charger, Command
from shared.vocabulary import CommandStatus
from tests.support.fleet import Fleet

HOUR_AGO = func.now() - timedelta(hours=1)
FAILED = {
    "code": "runtime_provider_error",
    "message": "ECS refuses the image",
    "step": "service",
    "retryable": False,
}


def rows(fleet: Fleet, query: str = "") -> list[Any]:
    answer = fleet.get(f"/ocpp/chargers?{query}")
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json["data"]
    return found


def row(fleet: Fleet) -> Any:
    (found,) = rows(fleet)
    return found


def change(fleet: Fleet, charger_id: str, **values: Any) -> None:
    with fleet.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(values))


def age(fleet: Fleet, charger_id: str) -> str:
    """It has been in its state for an hour. Returns since when, as sentences say it."""
    change(fleet, charger_id, observed_since=HOUR_AGO)
    return f"{fleet.row(charger_id).observed_since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def change_command(fleet: Fleet, charger_id: str, **values: Any) -> None:
    newest = fleet.row(charger_id).newest_command_id
    with fleet.sessions.begin() as session:
        session.execute(update(Command).where(Command.id == newest).values(values))


def test_a_row_shows_what_a_dashboard_needs_without_another_request(fleet: Fleet) -> None:
    fleet.create(location_id="here", location_name="Hamburg Nord")

    found = row(fleet)

    assert (found["ws_url"], found["location_name"]) == ("ws://csms.test/ocpp", "Hamburg Nord")
    assert (found["brand_slug"], found["model_slug"]) == ("wallbox", "wallbox-pulsar-plus")
    assert found["error"] is None


def test_a_row_shows_the_newest_command_and_what_it_waits_for(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    not_before = datetime(2040, 1, 2, tzinfo=UTC)
    reason = "Waits for the ECS rate budget"
    change_command(fleet, charger_id, reason=reason, attempts=2, held_since=func.now())
    change(fleet, charger_id, not_before=not_before)

    command = row(fleet)["command"]

    assert command["id"] == str(fleet.row(charger_id).newest_command_id)
    assert (command["event_type"], command["status"], command["requested_by"]) == (
        "stop_charger",
        "queued",
        "tester",
    )
    assert (command["reason"], command["attempts"], command["held"]) == (reason, 2, True)
    assert command["next_attempt_at"] == "2040-01-02T00:00:00Z"
    assert (command["error"], command["applied_at"], command["finished_at"]) == (None, None, None)


def test_a_final_command_is_not_held_and_has_no_next_attempt(fleet: Fleet) -> None:
    charger_id = fleet.create()
    fleet.finish(charger_id, CommandStatus.FAILED, FAILED)
    change(fleet, charger_id, not_before=func.now())

    found = row(fleet)

    assert (found["status"], found["command"]["status"]) == ("FAILED", "failed")
    assert found["error"] == found["command"]["error"] == FAILED
    assert (found["command"]["held"], found["command"]["next_attempt_at"]) == (False, None)


def test_a_charger_whose_newest_command_is_not_kept_has_none(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    with fleet.sessions.begin() as session:
        session.query(Command).filter_by(charger_id=charger_id).delete()

    assert row(fleet)["command"] is None
    assert fleet.get(f"/ocpp/chargers/{charger_id}").json["command"] is None


def test_a_page_of_rows_takes_as_many_statements_as_one_row(fleet: Fleet) -> None:
    engine = fleet.client.application.extensions["chargehand"].pools.reading
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def number() -> int:
        statements.clear()
        rows(fleet, "cursor=&limit=100")
        return len(statements)

    charger_id = fleet.ready()
    one = number()
    fleet.multiply(charger_id, 50)

    assert len(rows(fleet, "limit=100")) == 51
    assert number() == one == 1


def test_a_charger_that_runs_and_is_accepted_needs_no_attention(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    age(fleet, charger_id)

    runtime = row(fleet)["runtime"]

    assert (runtime["attention"], runtime["attention_at"], runtime["attention_reason"]) == (False, None, None)
    assert rows(fleet, "attention=true") == []


def test_a_charger_that_was_stopped_needs_no_attention(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, desired_count=0, running_count=0)
    age(fleet, charger_id)

    assert row(fleet)["runtime"]["attention"] is False


def test_a_charger_that_starts_needs_attention_when_it_has_done_so_for_30_s(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, running_count=0)

    runtime = row(fleet)["runtime"]

    since, attention_at = (
        datetime.fromisoformat(runtime[name]) for name in ("observed_since", "attention_at")
    )
    assert (runtime["attention"], runtime["attention_reason"]) == (False, None)
    assert attention_at - since == timedelta(seconds=30)
    change(fleet, charger_id, observed_since=func.now() - timedelta(seconds=31))
    assert row(fleet)["runtime"]["attention"] is True


def test_a_failed_provisioning_needs_attention_at_once(fleet: Fleet) -> None:
    charger_id = fleet.create()
    fleet.finish(charger_id, CommandStatus.FAILED, FAILED)
    change(fleet, charger_id, step="service")

    runtime = row(fleet)["runtime"]

    assert runtime["attention"] is True
    assert runtime["attention_at"] <= runtime["observed_since"]
    assert runtime["attention_reason"] == "Its provisioning failed at the step service: ECS refuses the image"


WAITS = {"reason": "Waits for the ECS rate budget", "attempts": 2}
#: What is done to a charger that runs and is accepted, and the sentence; {since} is when its state began.
REASONS: list[tuple[dict[str, Any], dict[str, Any], str | None, str]] = [
    (
        {"observed_at": None},
        {"attempts": 0},
        None,
        "Created, but not observed since {since}: it waits for a worker",
    ),
    (
        {"running_count": 0},
        WAITS,
        None,
        "Requested running, but no ECS task runs since {since}: Waits for the ECS rate budget (attempt 2)",
    ),
    (
        {"running_count": 0},
        {"status": "applied"},
        None,
        "Requested running, but no ECS task runs since {since}: ECS has accepted it and has not finished",
    ),
    (
        {"running_count": 0, "reason": "The task stopped: exit code 1"},
        {"status": "succeeded"},
        None,
        "Requested running, but no ECS task runs since {since}: The task stopped: exit code 1",
    ),
    (
        {"desired_count": 0},
        {"status": "succeeded"},
        None,
        "Requested stopped, but its ECS task has not ended since {since}: no reason is known",
    ),
    (
        {},
        {"status": "succeeded"},
        "disconnected",
        "Runs since {since}, but its CSMS has not accepted it: it is disconnected: nothing listens on 127.0.0.1:9000",
    ),
    (
        {},
        {"status": "succeeded"},
        "rejected",
        "Runs since {since}, but its CSMS has not accepted it: its boot was rejected: nothing listens on 127.0.0.1:9000",
    ),
]


@pytest.mark.parametrize(("values", "command", "link", "sentence"), REASONS)
def test_the_reason_says_why_and_since_when(
    fleet: Fleet, values: dict[str, Any], command: dict[str, Any], link: str | None, sentence: str
) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, link or "accepted", reason="nothing listens on 127.0.0.1:9000")
    fleet.settle(charger_id, **values)
    change_command(fleet, charger_id, **command)
    since = age(fleet, charger_id)

    assert row(fleet)["runtime"]["attention_reason"] == sentence.format(since=since)
    assert [found["id"] for found in rows(fleet, "attention=true")] == [charger_id]
    assert rows(fleet, "attention=false") == []


def test_a_charger_of_which_no_link_is_known_says_so(fleet: Fleet) -> None:
    since = age(fleet, fleet.ready())

    assert row(fleet)["runtime"]["attention_reason"] == (
        f"Runs since {since}, but its CSMS has not accepted it: nothing is known about its link yet"
    )


def test_what_needs_attention_comes_first_page_by_page(fleet: Fleet) -> None:
    for identity in ("CP-1", "CP-4"):
        fleet.link(fleet.ready(identity=identity), "accepted")
    for identity in ("CP-3", "CP-2", "CP-5"):
        fleet.create(identity=identity)

    numbered = rows(fleet, "sort=attention&limit=2&page=2")
    first = fleet.get("/ocpp/chargers?sort=attention&limit=2&cursor=").json
    second = fleet.get(f"/ocpp/chargers?sort=attention&limit=2&cursor={first['next_cursor']}").json
    third = fleet.get(f"/ocpp/chargers?sort=attention&limit=2&cursor={second['next_cursor']}").json

    walked = [found["identity"] for page in (first, second, third) for found in page["data"]]
    assert walked == ["CP-2", "CP-3", "CP-5", "CP-1", "CP-4"]
    assert numbered == second["data"]
    assert third["next_cursor"] is None


def test_the_summary_counts_the_chargers_that_match_the_filters(fleet: Fleet) -> None:
    accepted = fleet.ready(identity="CP-1", location_id="here")
    fleet.link(accepted, "accepted")
    age(fleet, fleet.ready(identity="CP-2", location_id="here"))
    fleet.create(identity="CP-3")
    fleet.create("other", identity="CP-4")

    everything = fleet.get("/ocpp/chargers/summary").json
    here = fleet.get("/ocpp/chargers/summary?location_id=here&attention=true").json

    assert everything == {
        "total": 3,
        "attention": 1,
        "observed": {"running": 2, "stopped": 0, "starting": 0, "stopping": 0, "unknown": 1},
        "ocpp_state": {
            "disconnected": 0,
            "connecting": 0,
            "connected": 0,
            "accepted": 1,
            "rejected": 0,
            "none": 1,
        },
        "status": {"PENDING": 1, "PROVISIONING": 0, "READY": 2, "FAILED": 0},
        "open_commands": 3,
        "held_commands": 0,
    }
    assert (here["total"], here["attention"], here["ocpp_state"]["none"]) == (1, 1, 1)
    assert fleet.get("/ocpp/chargers/summary?page=1").status_code == 422


def test_a_superseded_command_names_the_next_one(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    for action in ("stop-charger", "start-charger", "reset-charger"):
        fleet.post(f"/ocpp/chargers/{charger_id}/{action}")
    first, stop, start, reset = fleet.commands(charger_id)
    with fleet.sessions.begin() as session:
        of_older = Command.id.in_([stop.id, start.id])
        session.execute(update(Command).where(of_older).values(status=CommandStatus.SUPERSEDED))
    change(fleet, charger_id, not_before=datetime(2040, 1, 2, tzinfo=UTC))

    listed = fleet.get(f"/ocpp/chargers/{charger_id}/commands").json["data"]
    second_page = fleet.get(f"/ocpp/chargers/{charger_id}/commands?limit=1&page=2").json["data"]
    one = fleet.get(f"/ocpp/chargers/{charger_id}/commands/{stop.id}").json

    shown = [(found["id"], found["superseded_by"], found["queue"]) for found in listed]
    assert shown == [
        (str(reset.id), None, "lifecycle"),
        (str(start.id), str(reset.id), "lifecycle"),
        (str(stop.id), str(start.id), "lifecycle"),
        (str(first.id), None, "provisioning"),
    ]
    assert [found["next_attempt_at"] for found in listed] == ["2040-01-02T00:00:00Z", None, None, None]
    assert second_page == [listed[1]]
    assert one == listed[2]
