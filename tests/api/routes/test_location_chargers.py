"""The chargers of a location: listed, changed and deleted many at once."""

from typing import Any

import pytest
import redis

from shared.fleet.control import HINTS
from shared.fleet.locations.chargers import MAX_NAMED, PORTION
from shared.models import Charger
from shared.vocabulary import EventType
from tests.support.fleet import Fleet


@pytest.fixture
def site(fleet: Fleet) -> str:
    return fleet.locate()


@pytest.fixture
def three(fleet: Fleet, site: str) -> list[str]:
    """Three chargers of the site that run, in the order of their creation."""
    return [fleet.ready(identity=f"CP-{number}", location_id=site) for number in (1, 2, 3)]


def url(location_id: str) -> str:
    return f"/ocpp/locations/{location_id}/chargers"


def update(fleet: Fleet, location_id: str, *chargers: dict[str, Any]) -> Any:
    answer = fleet.put(url(location_id), json={"chargers": list(chargers)})
    assert answer.status_code == 200, answer.text
    return answer.json


def delete(fleet: Fleet, location_id: str, ids: list[str], **kwargs: Any) -> Any:
    answer = fleet.delete(url(location_id), query_string={"charger_ids": ids}, **kwargs)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_chargers_of_a_location_are_listed_newest_first_as_everywhere(
    fleet: Fleet, site: str, three: list[str]
) -> None:
    fleet.ready(identity="CP-ELSEWHERE")

    answer = fleet.get(url(site), query_string={"limit": 2})

    assert answer.status_code == 200
    listed = fleet.get("/ocpp/chargers", query_string={"location_id": site, "limit": 2}).json
    assert [row["id"] for row in answer.json["data"]] == [three[2], three[1]]
    assert [row.keys() for row in answer.json["data"]] == [row.keys() for row in listed["data"]]
    assert {name: answer.json[name] for name in ("total", "page", "limit")} == {
        "total": 3,
        "page": 1,
        "limit": 2,
    }


def test_only_the_chargers_that_are_named_are_listed(fleet: Fleet, site: str, three: list[str]) -> None:
    query = {"charger_ids": [three[0], three[2], three[0]], "limit": 1}

    pages = [fleet.get(url(site), query_string=query | {"page": page}).json for page in (1, 2, 3)]

    assert [[row["id"] for row in page["data"]] for page in pages] == [[three[2]], [three[0]], []]
    assert [page["total"] for page in pages] == [2, 2, 2]
    assert pages[0]["data"][0]["runtime"]["observed"] == "running"


def test_an_id_of_elsewhere_is_no_charger_of_the_location(fleet: Fleet, site: str, three: list[str]) -> None:
    others = [
        fleet.ready(identity="CP-4", location_id=fleet.locate()),
        fleet.ready("globex", location_id=fleet.locate("globex")),
        "dep-unknown",
    ]

    for other in others:
        answer = fleet.get(url(site), query_string={"charger_ids": [three[0], other]})

        assert answer.status_code == 400
        assert answer.json == {"detail": f"Location {site} has no chargers {other}"}


def test_chargers_of_a_location_are_deleted_as_single_ones(fleet: Fleet, site: str, three: list[str]) -> None:
    answer = delete(fleet, site, [three[2], three[0]])

    assert answer == {"deleted_count": 2, "failed_count": 0, "deleted": [three[2], three[0]], "failed": []}
    assert [row["id"] for row in fleet.get(url(site)).json["data"]] == [three[1]]
    assert fleet.get(f"/ocpp/chargers/{three[0]}").status_code == 404
    newest = fleet.commands(three[0])[-1]
    assert (newest.event_type, newest.requested_by) == (EventType.DELETE_CHARGER, "tester")


def test_a_deletion_leaves_what_is_not_in_the_location(fleet: Fleet, site: str, three: list[str]) -> None:
    elsewhere = fleet.ready(identity="CP-4", location_id=fleet.locate())
    foreign = fleet.ready("globex", location_id=fleet.locate("globex"))

    answer = delete(fleet, site, [elsewhere, three[0], foreign, "dep-unknown"])

    assert answer["deleted"] == [three[0]]
    assert [item["charger_id"] for item in answer["failed"]] == [elsewhere, foreign, "dep-unknown"]
    assert answer["failed"][0]["error"] == f"Charger {elsewhere} not found in this location"
    assert answer["failed_count"] == 3
    assert fleet.row(elsewhere).deleted_at is None
    assert fleet.row(foreign).deleted_at is None


def test_a_repeated_deletion_finds_none(fleet: Fleet, site: str, three: list[str]) -> None:
    delete(fleet, site, three)

    again = delete(fleet, site, three)

    assert (again["deleted_count"], again["failed_count"]) == (0, 3)
    assert len(fleet.commands(three[0])) == 2


@pytest.mark.parametrize(
    "query", [{}, {"charger_ids": ""}, {"charger_ids": ["dep-1"] * (MAX_NAMED + 1)}, {"charger_ids": "a b"}]
)
def test_a_deletion_names_its_chargers(
    fleet: Fleet, site: str, three: list[str], query: dict[str, Any]
) -> None:
    answer = fleet.delete(url(site), query_string=query)

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"][:2] == ["query", "charger_ids"]
    assert fleet.get(url(site)).json["total"] == len(three)


def test_an_unknown_location_has_no_chargers(fleet: Fleet, three: list[str]) -> None:
    foreign = fleet.locate("globex")
    for unknown in ("nowhere", foreign):
        listed = fleet.get(url(unknown))
        deleted = fleet.delete(url(unknown), query_string={"charger_ids": three})

        assert (listed.status_code, deleted.status_code) == (404, 404)
        assert listed.json == deleted.json == {"detail": f"Location {unknown} not found"}
    assert fleet.row(three[0]).deleted_at is None


def test_more_chargers_than_a_portion_are_deleted_in_the_order_of_the_request(
    fleet: Fleet, site: str
) -> None:
    first = fleet.ready(location_id=site)
    fleet.multiply(first, PORTION + 20)
    with fleet.sessions() as session:
        ids = [row.id for row in session.query(Charger.id).where(Charger.location_id == site)]

    answer = delete(fleet, site, ids)

    assert answer["deleted"] == ids
    assert fleet.get(url(site)).json["total"] == 0


def test_chargers_of_a_location_are_changed_each_in_its_way(
    fleet: Fleet, site: str, three: list[str]
) -> None:
    answer = update(
        fleet,
        site,
        {"charger_id": three[2], "charge_point_name": "Bay 3", "name": "lost"},
        {"charger_id": three[0], "ws_url": "ws://new.test/ocpp", "labels": {"run": "7"}},
    )

    assert (answer["updated_count"], answer["failed_count"], answer["failed"]) == (2, 0, [])
    assert [row["id"] for row in answer["updated"]] == [three[2], three[0]]
    listed = {row["id"]: row for row in fleet.get(url(site)).json["data"]}
    assert [row.keys() for row in answer["updated"]] == [listed[three[0]].keys()] * 2
    assert listed[three[2]]["name"] == "Bay 3"
    assert (listed[three[0]]["ws_url"], listed[three[0]]["labels"]) == ("ws://new.test/ocpp", {"run": "7"})
    assert listed[three[1]]["updated_at"] == listed[three[1]]["created_at"]
    assert answer["updated"][1]["command"]["event_type"] == EventType.UPDATE_CHARGER
    assert fleet.commands(three[0])[-1].generation == 2


def test_a_change_that_breaks_a_rule_changes_nothing_of_its_charger_and_keeps_no_other(
    fleet: Fleet, site: str, three: list[str]
) -> None:
    elsewhere = fleet.ready(identity="CP-4", location_id=fleet.locate())
    foreign = fleet.ready("globex", location_id=fleet.locate("globex"))

    answer = update(
        fleet,
        site,
        {"charger_id": three[0], "name": "lost", "connector_type": "CHAdeMO"},
        {"charger_id": three[1], "name": "lost", "location_id": fleet.row(foreign).location_id},
        {"charger_id": elsewhere, "name": "lost"},
        {"charger_id": foreign, "name": "lost"},
        {"charger_id": three[2], "name": "Bay 3"},
        {"charger_id": three[2], "name": "lost"},
    )

    assert [row["name"] for row in answer["updated"]] == ["Bay 3"]
    errors = {item["charger_id"]: item["error"] for item in answer["failed"]}
    assert answer["failed_count"] == 5
    assert "CHAdeMO" in errors[three[0]]
    assert errors[three[1]] == f"Location {fleet.row(foreign).location_id} not found"
    assert errors[elsewhere] == f"Charger {elsewhere} not found in this location"
    assert errors[foreign] == f"Charger {foreign} not found in this location"
    assert errors[three[2]] == f"Charger {three[2]} is named more than once"
    names = [fleet.row(charger_id).name for charger_id in (*three, elsewhere, foreign)]
    assert names == [None, None, "Bay 3", None, None]


def test_chargers_move_to_another_location_of_their_organization(
    fleet: Fleet, site: str, three: list[str]
) -> None:
    other = fleet.locate(name="Other")

    update(
        fleet,
        site,
        {"charger_id": three[0], "location_id": other},
        {"charger_id": three[1], "location_id": None},
    )

    assert [row["id"] for row in fleet.get(url(site)).json["data"]] == [three[2]]
    assert [row["id"] for row in fleet.get(url(other)).json["data"]] == [three[0]]
    assert fleet.row(three[1]).location_id is None


def test_an_update_of_many_gives_the_control_link_a_hint(
    fleet: Fleet, site: str, three: list[str], redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as channel:
        channel.subscribe(HINTS)
        channel.get_message(timeout=5)

        update(fleet, site, {"charger_id": three[0], "ws_url": "ws://new.test"})

        assert channel.get_message(timeout=5) is not None


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["chargers"]),
        ({"chargers": []}, ["chargers"]),
        ({"chargers": [{"name": "x"}]}, ["chargers", 0, "charger_id"]),
        ({"chargers": [{"charger_id": "dep-1", "colour": "red"}]}, ["chargers", 0, "colour"]),
        ({"chargers": [{"charger_id": "dep-1"}] * (MAX_NAMED + 1)}, ["chargers"]),
        ([{"charger_id": "dep-1"}], []),
    ],
)
def test_an_update_that_does_not_fit_the_schema_changes_nothing(
    fleet: Fleet, site: str, three: list[str], body: Any, loc: list[Any]
) -> None:
    good = {"charger_id": three[0], "name": "lost"}
    if isinstance(body, dict) and 0 < len(body.get("chargers", ())) < MAX_NAMED:
        body["chargers"] = [*body["chargers"], good]

    answer = fleet.put(url(site), json=body)

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", *loc]
    assert fleet.row(three[0]).name is None
