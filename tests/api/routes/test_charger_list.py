"""Which chargers a list has, and in which order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from shared.vocabulary import ProvisioningStatus
from tests.support.fleet import Fleet

DC = {"brand_slug": "abb", "model_slug": "terra-54", "connector_type": "CCS2"}

#: Filters, and the identities of the chargers that they find in `three`.
FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"status": "PENDING"}, {"CP-NEW"}),
    ({"status": "ready"}, {"CP-RUNS", "CP-FAST"}),
    ({"status": "PENDING,FAILED,PROVISIONING"}, {"CP-NEW"}),
    ({"status": "FAILED"}, set()),
    ({"observed": "unknown"}, {"CP-NEW"}),
    ({"observed": "running"}, {"CP-RUNS"}),
    ({"observed": "starting,stopped,stopping"}, {"CP-FAST"}),
    ({"ocpp_state": "accepted"}, {"CP-RUNS"}),
    ({"ocpp_state": "accepted,disconnected"}, {"CP-RUNS", "CP-FAST"}),
    ({"ocpp_state": "rejected"}, set()),
    ({"ocpp_version": "ocpp2.0.1"}, {"CP-FAST"}),
    ({"ocpp_version": "OCPP1.6,OCPP2.0.1"}, {"CP-NEW", "CP-RUNS", "CP-FAST"}),
    ({"brand_slug": "abb"}, {"CP-FAST"}),
    ({"brand_slug": "nobody"}, set()),
    ({"model_slug": "wallbox-pulsar-plus"}, {"CP-NEW", "CP-RUNS"}),
    ({"model_slug": "terra-54", "brand_slug": "wallbox"}, set()),
    ({"location_id": "here"}, {"CP-RUNS", "CP-FAST"}),
    ({"location_id": "here", "ocpp_version": "OCPP1.6"}, {"CP-RUNS"}),
    ({"location_id": "here", "q": "fast"}, {"CP-FAST"}),
    ({"identity": "CP-RUNS"}, {"CP-RUNS"}),
    ({"identity": "cp-runs"}, set()),
    ({"identity": "CP-RUN"}, set()),
    ({"identity": "CP-RUNS", "location_id": "here", "q": "runs", "status": "READY"}, {"CP-RUNS"}),
    ({"identity": "CP-RUNS", "location_id": "elsewhere"}, set()),
    ({"identity": "CP-RUNS", "status": "PENDING"}, set()),
    ({"q": "cp-"}, {"CP-NEW", "CP-RUNS", "CP-FAST"}),
    ({"q": "runs", "status": "READY"}, {"CP-RUNS"}),
    ({"q": "runs", "status": "PENDING"}, set()),
    ({"status": "READY", "observed": "running", "brand_slug": "wallbox"}, {"CP-RUNS"}),
]


def _in_one_order(value: dict[str, str] | set[str]) -> str:
    """The order of a set differs from process to process, and a test's name may not."""
    return urlencode(value) if isinstance(value, dict) else ",".join(sorted(value))


def listed(fleet: Fleet, **query: Any) -> list[str]:
    """The identities on the first page."""
    answer = fleet.get(f"/ocpp/chargers?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    return [row["identity"] for row in answer.json["data"]]


@pytest.fixture
def three(fleet: Fleet) -> None:
    fleet.create(identity="CP-NEW")
    fleet.link(fleet.ready(identity="CP-RUNS", location_id="here"), "accepted")
    fast = fleet.ready(identity="CP-FAST", location_id="here", ocpp_version="OCPP2.0.1", **DC)
    fleet.link(fast, "rejected")
    fleet.settle(fast, running_count=0)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("query", "found"), FILTERS, ids=_in_one_order)
def test_a_list_has_the_chargers_that_all_filters_fit(
    fleet: Fleet, query: dict[str, str], found: set[str]
) -> None:
    numbered = fleet.get(f"/ocpp/chargers?{urlencode(query)}").json
    by_cursor = fleet.get(f"/ocpp/chargers?cursor=&{urlencode(query)}").json

    assert {row["identity"] for row in numbered["data"]} == found
    assert by_cursor["data"] == numbered["data"]
    assert (numbered["total"], numbered["page"]) == (len(found), 1)
    assert (by_cursor["total"], by_cursor["page"], by_cursor["next_cursor"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=READI", "'PENDING' or 'PROVISIONING' or 'READY' or 'FAILED'"),
        ("status=READY,", "'PENDING' or 'PROVISIONING' or 'READY' or 'FAILED'"),
        ("status=", "'PENDING' or 'PROVISIONING' or 'READY' or 'FAILED'"),
        ("observed=runs", "'running' or 'stopped' or 'starting' or 'stopping' or 'unknown'"),
        ("ocpp_state=on", "'disconnected' or 'connecting' or 'connected' or 'accepted' or 'rejected'"),
        ("attention=1", "'true' or 'false'"),
        ("ocpp_version=1.6", "'OCPP1.6' or 'OCPP2.0.1'"),
        (
            "sort=name",
            "'created_at' or '-created_at' or 'identity' or '-identity' or 'state_since' or '-state_since'"
            " or 'attention'",
        ),
    ],
)
def test_a_value_that_is_none_of_the_possible_ones_is_refused(
    fleet: Fleet, query: str, expected: str
) -> None:
    answer = fleet.get(f"/ocpp/chargers?{query}")

    assert answer.status_code == 422
    assert answer.json["detail"] == [
        {
            "loc": ["query", query.partition("=")[0]],
            "msg": f"Input should be {expected}",
            "type": "literal_error",
            "ctx": {"expected": expected},
        }
    ]


@pytest.mark.parametrize("name", ["brand_slug", "model_slug", "location_id", "identity", "q"])
@pytest.mark.parametrize("value", ["", "a\x00b", "x" * 300])
def test_a_text_that_no_charger_can_have_is_refused(fleet: Fleet, name: str, value: str) -> None:
    answer = fleet.get(f"/ocpp/chargers?{name}={quote(value)}")

    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json["detail"]] == [["query", name]]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("p-0", True),
        ("CP-007", True),
        ("7", True),
        ("07", True),
        ("größe_10", True),
        ("GRÖSSE", False),
        ("GRÖßE", True),
        ("10%", True),
        ("%", True),
        ("_", True),
        ("0%_", False),
        ("%007", False),
        ("\\", False),
        ("a%b", False),
        ("halle 4", True),
        ("halle  4", False),
        ("007größe", False),
        ("'", False),
    ],
)
def test_a_text_is_a_part_of_the_identity_or_the_name_in_any_case_of_letters(
    fleet: Fleet, q: str, found: bool
) -> None:
    fleet.create(identity="CP-007", charge_point_name="Größe_10% Halle 4")
    fleet.create(identity="XX", charge_point_name=None)

    assert listed(fleet, q=q) == (["CP-007"] if found else [])


@pytest.mark.parametrize("more", [0, 1500])
def test_a_text_is_found_under_the_newest_name_until_the_charger_is_deleted(fleet: Fleet, more: int) -> None:
    """Also where so many chargers are before it that the index of texts is read."""
    charger_id = fleet.ready(identity="CP-1", charge_point_name="Needle")
    if more:
        fleet.multiply(fleet.ready(identity="CP-2"), more)

    assert listed(fleet, q="needle") == ["CP-1"]
    fleet.put(f"/ocpp/chargers/{charger_id}", json={"name": "Pin"})
    assert (listed(fleet, q="needle"), listed(fleet, q="pin")) == ([], ["CP-1"])
    fleet.put(f"/ocpp/chargers/{charger_id}", json={"name": None})
    assert (listed(fleet, q="pin"), listed(fleet, q="P-1", sort="identity")) == ([], ["CP-1"])
    fleet.delete(f"/ocpp/chargers/{charger_id}")
    assert listed(fleet, q="p-1") == []


def test_lists_are_sorted_by_creation_identity_and_age_of_the_state(fleet: Fleet) -> None:
    for identity in ("CP-2", "CP-10", "cp-1", "CP-1"):
        fleet.settle(fleet.ready(identity=identity))
    fleet.settle(fleet.row(_id_of(fleet, "CP-10")).id, running_count=0)

    assert listed(fleet, sort="created_at") == ["CP-2", "CP-10", "cp-1", "CP-1"]
    assert listed(fleet, sort="-created_at") == listed(fleet) == ["CP-1", "cp-1", "CP-10", "CP-2"]
    assert listed(fleet, sort="identity") == ["CP-1", "CP-10", "CP-2", "cp-1"]
    assert listed(fleet, sort="-identity") == ["cp-1", "CP-2", "CP-10", "CP-1"]
    assert listed(fleet, sort="state_since") == ["CP-2", "cp-1", "CP-1", "CP-10"]
    assert listed(fleet, sort="-state_since") == ["CP-10", "CP-1", "cp-1", "CP-2"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "query", ["", "status=READY", "sort=state_since", "q=cp", "location_id=here", "q=cp&status=READY"]
)
def test_a_page_beyond_the_end_is_empty(fleet: Fleet, query: str) -> None:
    for page in (2, 22_000_000, 999_999_999):
        answer = fleet.get(f"/ocpp/chargers?page={page}&limit=100&{query}")

        assert (answer.status_code, answer.json["data"], answer.json["next_cursor"]) == (200, [], None)
        assert answer.json["total"] in (2, 3)


def _id_of(fleet: Fleet, identity: str) -> str:
    (row,) = fleet.get(f"/ocpp/chargers?q={identity}").json["data"]
    charger_id: str = row["id"]
    return charger_id


def test_a_row_shows_the_same_provisioning_and_runtime_as_the_charger(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    (row,) = fleet.get("/ocpp/chargers").json["data"]

    one = fleet.get(f"/ocpp/chargers/{charger_id}").json
    assert row == {name: value for name, value in one.items() if name in row}
    assert one.keys() - row.keys() == {"spec", "connectors", "control"}
    assert (row["status"], row["runtime"]["observed"]) == ("READY", "running")


def _stop(fleet: Fleet, charger_id: str) -> None:
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")


#: What changes the observed state of a charger that runs, or not.
CHANGES: dict[str, tuple[Callable[[Fleet, str], None], bool]] = {
    "a stop is accepted": (_stop, True),
    "its task ends": (lambda fleet, charger_id: fleet.settle(charger_id, running_count=0), True),
    "it is seen to run as before": (lambda fleet, charger_id: fleet.settle(charger_id), False),
    "its link changes": (lambda fleet, charger_id: fleet.link(charger_id, "connected"), False),
    "it gets a name": (
        lambda fleet, charger_id: fleet.put(f"/ocpp/chargers/{charger_id}", json={"name": "x"}),
        False,
    ),
    "a restart is accepted": (
        lambda fleet, charger_id: fleet.post(f"/ocpp/chargers/{charger_id}/reset-charger"),
        False,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_age_of_a_state_begins_with_the_change_that_made_it(fleet: Fleet, change: str) -> None:
    charger_id = fleet.ready()
    before = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]

    act, changes = CHANGES[change]
    act(fleet, charger_id)

    after = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]
    assert (after["observed_since"] > before["observed_since"]) is changes
    assert (after["observed"] != before["observed"]) is changes
    assert datetime.fromisoformat(after["observed_since"]) > datetime.now(UTC) - timedelta(minutes=1)


def test_a_new_charger_is_in_its_state_since_its_creation(fleet: Fleet) -> None:
    charger = fleet.get(f"/ocpp/chargers/{fleet.create()}").json

    assert charger["runtime"]["observed_since"] == charger["created_at"]
    assert charger["status"] == ProvisioningStatus.PENDING
