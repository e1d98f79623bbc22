"""Waiting until the CSMS has accepted a share of a location's chargers."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.http.refusals import assert_items
from tests.support.fleet import Fleet

InBackground = Callable[..., Future[Any]]


@pytest.fixture
def site(fleet: Fleet) -> str:
    return fleet.locate()


@pytest.fixture
def four(fleet: Fleet, site: str) -> list[str]:
    """Chargers of the location that run; the CSMS has accepted the first two."""
    ids = [fleet.ready(identity=f"CP-{number}", location_id=site) for number in range(1, 5)]
    for charger_id in ids[:2]:
        fleet.link(charger_id, "accepted")
    return ids


def _wait(fleet: Fleet, site: str, wait_s: int = 0, **body: Any) -> Any:
    return fleet.post(f"/ocpp/locations/{site}/wait?wait={wait_s}", json=body)


def test_the_answer_counts_and_names_those_that_are_not_accepted(
    fleet: Fleet, site: str, four: list[str]
) -> None:
    fleet.link(four[2], "rejected")
    fleet.post(f"/ocpp/chargers/{four[3]}/stop-charger")
    fleet.settle(four[3], running_count=0)

    half, all_ = _wait(fleet, site, share=0.5), _wait(fleet, site)

    assert half.json.items() >= {"reached": True, "total": 4, "needed": 2, "accepted": 2}.items()
    assert (
        all_.json.items()
        >= {"reached": False, "total": 4, "needed": 4, "accepted": 2, "impossible": 1}.items()
    )
    rejected, stopped = all_.json["not_accepted"]
    assert (rejected["identity"], rejected["ocpp_state"]) == ("CP-3", "rejected")
    assert "its CSMS has not accepted it" in rejected["reason"]
    assert (stopped["identity"], stopped["observed"], stopped["reason"]) == (
        "CP-4",
        "stopped",
        "It is stopped",
    )


def test_it_answers_as_soon_as_the_share_is_accepted(
    fleet: Fleet, site: str, four: list[str], begin: InBackground
) -> None:
    waiting = begin("POST", f"/ocpp/locations/{site}/wait?wait=30", json={"share": 0.75})

    fleet.link(four[3], "accepted")

    answer = waiting.result(20)
    assert (answer.status_code, answer.json["reached"], answer.json["accepted"]) == (200, True, 3)
    assert [row["identity"] for row in answer.json["not_accepted"]] == ["CP-3"]


def test_it_does_not_wait_for_what_cannot_be(fleet: Fleet, site: str, four: list[str]) -> None:
    fleet.post(f"/ocpp/chargers/{four[3]}/stop-charger")
    empty = fleet.locate()

    for answer in (_wait(fleet, site, 60), _wait(fleet, empty, 60, share=0)):
        assert (answer.status_code, answer.json["reached"]) == (200, False)


def test_a_restarted_charger_counts_again_when_its_new_process_is_accepted(
    fleet: Fleet, site: str, four: list[str]
) -> None:
    fleet.post(f"/ocpp/chargers/{four[0]}/restart-charger")

    answer = _wait(fleet, site)

    assert answer.json["accepted"] == 1
    assert answer.json["not_accepted"][0]["reason"] == "Its newest command is not final yet"


def test_chargers_that_a_job_still_creates_count(fleet: Fleet, site: str, four: list[str]) -> None:
    with fleet.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO jobs (organization_id, action, location_id, total, waiting, requested, requested_by)"
                " VALUES ('acme', 'create', :site, 9, 6, 3, 'ada')"
            ),
            {"site": site},
        )

    assert _wait(fleet, site, share=0.5).json.items() >= {"total": 10, "needed": 5, "accepted": 2}.items()


@pytest.mark.parametrize("share", [-0.1, 1.1, "all", None, True])
def test_a_share_is_a_part_of_one(fleet: Fleet, site: str, share: Any) -> None:
    answer = _wait(fleet, site, share=share)

    type_ = {-0.1: "greater_than_equal", 1.1: "less_than_equal"}.get(share, "float_type")
    assert_items(answer, (["body", "share"], type_))
