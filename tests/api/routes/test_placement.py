"""Where chargers run: each in a service of its own, or on a host."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from api.app import create_app
from api.resources import Resources
from shared.database.engine import Sessions
from shared.models import Job
from shared.vocabulary import Placement
from tests.support.fleet import GROUPS, NEW_CHARGER, NEW_LOCATION, Fleet

CHARGERS = "/ocpp/chargers"
HOST = "host-1"
SITE = NEW_LOCATION | {"template_slug": "residential-ac-single", "ws_url": "ws://csms.test/ocpp"}


@pytest.fixture
def serving(app: Flask, fleet: Fleet) -> Iterator[Callable[..., Fleet]]:
    """A function that gives the clients of an app with other settings."""
    resources: Resources = app.extensions["chargehand"]
    with ExitStack() as stack:

        def serving(**changed: Any) -> Fleet:
            other = create_app(replace(resources.settings, **changed))
            stack.callback(other.extensions["chargehand"].pools.dispose)
            stack.callback(other.extensions["chargehand"].publisher.close)
            return Fleet(other.test_client(), fleet.sessions, fleet.token)

        yield serving


@pytest.fixture
def on_host(fleet: Fleet) -> str:
    """A charger that a worker has placed, and that runs there."""
    charger_id = fleet.ready(placement="shared")
    fleet.set_host(charger_id, HOST)
    return charger_id


def groups(**template: Any) -> list[dict[str, Any]]:
    return [{"template": GROUPS[0]["template"] | template, "charger_ids": ["1"]}]  # type: ignore[operator]


def placements_of_jobs(sessions: Sessions) -> Iterator[str]:
    with sessions() as session:
        for job in session.scalars(select(Job).order_by(Job.id)):
            yield from (group["placement"] for group in (job.input or {})["groups"])


def test_a_charger_is_dedicated_unless_its_client_chooses(fleet: Fleet) -> None:
    dedicated, shared = fleet.create(), fleet.create(identity="CP-2", placement="shared")

    of_dedicated, of_shared = (fleet.get(f"{CHARGERS}/{one}").json["runtime"] for one in (dedicated, shared))

    assert (of_dedicated["placement"], of_dedicated["host_id"]) == ("dedicated", None)
    assert (of_shared["placement"], of_shared["host_id"]) == ("shared", None)


def test_the_operator_chooses_the_default(serving: Callable[..., Fleet]) -> None:
    fleet = serving(default_placement=Placement.SHARED)
    default, chosen = fleet.create(), fleet.create(identity="CP-2", placement="dedicated")
    location_id = fleet.locate()
    fleet.post(f"/ocpp/locations/{location_id}/chargers", json=groups())
    fleet.post("/ocpp/locations", json=SITE)

    assert fleet.row(default).placement == "shared"
    assert fleet.row(chosen).placement == "dedicated"
    assert [*placements_of_jobs(fleet.sessions)] == ["shared", "shared"]


def test_a_job_creates_chargers_with_the_placement_of_their_template(fleet: Fleet) -> None:
    location_id = fleet.locate()

    answers = [
        fleet.post(f"/ocpp/locations/{location_id}/chargers", json=groups(placement="shared")),
        fleet.post(f"/ocpp/locations/{location_id}/chargers", json=groups()),
        fleet.post("/ocpp/locations", json=SITE | {"placement": "shared"}),
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 201]
    assert [*placements_of_jobs(fleet.sessions)] == ["shared", "dedicated", "shared"]


def test_a_repeated_create_is_the_same_only_with_the_same_placement(fleet: Fleet) -> None:
    charger_id = fleet.create(placement="shared")

    same = fleet.post(CHARGERS, json=NEW_CHARGER | {"placement": "SHARED"})
    other = fleet.post(CHARGERS, json=NEW_CHARGER)

    assert (same.status_code, same.json["charger_id"]) == (202, charger_id)
    assert (other.status_code, other.json) == (400, {"detail": "Identity CP-TEST-001 already exists"})


@pytest.mark.parametrize("value", ["alone", "", None, 1])
def test_another_word_is_refused(fleet: Fleet, value: Any) -> None:
    answer = fleet.post(CHARGERS, json=NEW_CHARGER | {"placement": value})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", "placement"]


def test_a_location_has_a_placement_only_for_the_chargers_of_its_template(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/locations", json=NEW_LOCATION | {"placement": "shared"})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", "placement"]


def test_without_a_control_link_no_charger_can_be_shared(
    resources: Resources, serving: Callable[..., Fleet]
) -> None:
    fleet = serving(control=replace(resources.settings.control, url=""))
    location_id = fleet.locate()

    answers = [
        fleet.post(CHARGERS, json=NEW_CHARGER | {"placement": "shared"}),
        fleet.post(f"/ocpp/locations/{location_id}/chargers", json=groups(placement="shared")),
        fleet.post("/ocpp/locations", json=SITE | {"placement": "shared"}),
        fleet.post(CHARGERS, json=NEW_CHARGER | {"placement": "dedicated"}),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 202]
    for answer in answers[:3]:
        assert "CONTROL_URL" in answer.json["detail"][0]["msg"]


def test_an_update_with_another_placement_moves_the_charger_by_a_command(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(f"{CHARGERS}/{charger_id}", json={"placement": "shared", "name": "Bay 2"})
    again = fleet.put(f"{CHARGERS}/{charger_id}", json={"placement": "SHARED"})

    newest = fleet.get(f"{CHARGERS}/{charger_id}/commands").json["data"][0]
    assert (answer.status_code, again.status_code) == (200, 200)
    assert (answer.json["name"], answer.json["runtime"]["placement"]) == ("Bay 2", "shared")
    assert (newest["event_type"], newest["generation"], newest["status"]) == ("update_charger", 2, "queued")
    assert fleet.row(charger_id).generation == 2


def test_an_update_with_the_same_placement_changes_nothing(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    before = fleet.get(f"{CHARGERS}/{charger_id}").json

    same = fleet.put(f"{CHARGERS}/{charger_id}", json={"placement": "dedicated"})

    assert same.status_code == 200
    assert fleet.get(f"{CHARGERS}/{charger_id}").json == before | {"runtime": same.json["runtime"]}


def test_a_charger_whose_provisioning_failed_cannot_move(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, provisioning_status="FAILED", desired_count=0)

    answer = fleet.put(f"{CHARGERS}/{charger_id}", json={"placement": "shared", "name": "Bay 2"})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", "placement"]
    assert "delete it and create it again" in answer.json["detail"][0]["msg"]
    assert (fleet.row(charger_id).placement, fleet.row(charger_id).name) == ("dedicated", None)


def test_a_command_for_a_shared_charger_is_answered_with_the_service_of_its_host(
    fleet: Fleet, on_host: str
) -> None:
    payload = fleet.post(f"{CHARGERS}/{on_host}/stop-charger", json={}).json["payload"]

    assert payload == {
        "provider": "aws",
        "runtime_kind": "ecs_shared_service",
        "service_name": HOST,
        "desired_count": 0,
        "status": "ACTIVE",
    }


def test_a_repeat_with_the_same_key_names_the_same_service(fleet: Fleet, on_host: str) -> None:
    send = {"headers": {"Idempotency-Key": "once"}, "json": {}}
    first = fleet.post(f"{CHARGERS}/{on_host}/reset-charger", **send)
    fleet.set_host(on_host, "host-2")

    assert fleet.post(f"{CHARGERS}/{on_host}/reset-charger", **send).json == first.json
    assert first.json["payload"]["service_name"] == HOST


def test_a_shared_charger_without_a_host_has_no_service(fleet: Fleet) -> None:
    charger_id = fleet.ready(placement="shared")

    payload = fleet.post(f"{CHARGERS}/{charger_id}/start-charger", json={}).json["payload"]

    assert (payload["service_name"], payload["status"]) == (None, "INACTIVE")


def test_lists_summaries_and_jobs_can_be_of_one_placement_or_one_host(fleet: Fleet, on_host: str) -> None:
    alone = fleet.ready(identity="CP-2")
    elsewhere = fleet.ready(identity="CP-3", placement="shared")
    fleet.set_host(elsewhere, "host-2")

    def listed(**query: str) -> list[str]:
        page = fleet.get(CHARGERS, query_string={"sort": "created_at"} | query).json
        assert page["total"] == len(page["data"])
        assert fleet.get(f"{CHARGERS}/summary", query_string=query).json["total"] == page["total"]
        stop = fleet.post(f"{CHARGERS}/stop", json={"filters": query, "dry_run": True})
        assert stop.json["total"] == page["total"]
        return [row["id"] for row in page["data"]]

    assert listed(placement="dedicated") == [alone]
    assert listed(placement="shared") == [on_host, elsewhere]
    assert listed(host_id=HOST) == [on_host]
    assert listed(host_id="host-2", placement="shared") == [elsewhere]
    assert listed(host_id="host-2", placement="dedicated") == []
    assert listed(host_id="host-3") == []
