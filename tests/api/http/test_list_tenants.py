"""No list of an organization has a charger of another one."""

import pytest

from tests.support.fleet import Fleet


def test_a_list_has_nothing_of_another_organization(fleet: Fleet) -> None:
    fleet.ready("acme")
    theirs = fleet.create("globex", location_id="here")

    ours = fleet.get("/ocpp/chargers?location_id=here", organization="acme")
    all_of_theirs = fleet.get("/ocpp/chargers", organization="globex")

    assert (ours.json["data"], ours.json["total"]) == ([], 0)
    assert [row["id"] for row in all_of_theirs.json["data"]] == [theirs]
    assert all_of_theirs.json["total"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "status=PENDING",
        "observed=unknown",
        "ocpp_version=OCPP1.6",
        "brand_slug=wallbox",
        "model_slug=wallbox-pulsar-plus",
        "location_id=here",
        "host_id=host-1",
        "placement=shared",
        "placement=shared&host_id=host-1&location_id=here",
        "q=cp-test",
        "q=cp-test&status=PENDING",
        "q=cp-test&location_id=here",
        "sort=identity",
        "sort=-state_since",
    ],
)
def test_no_filter_and_no_order_reaches_into_another_organization(fleet: Fleet, query: str) -> None:
    alike = {"location_id": "here", "placement": "shared"}
    theirs = [fleet.create("globex", identity=f"CP-TEST-{number}", **alike) for number in range(3)]
    ours = fleet.create("acme", identity="CP-TEST-OURS", **alike)
    for charger_id in (*theirs, ours):
        fleet.set_host(charger_id, "host-1")

    for path in (f"/ocpp/chargers?{query}", f"/ocpp/chargers?{query}&cursor="):
        answer = fleet.get(path, organization="acme").json
        nobody = fleet.get(path, organization="initech").json

        assert [row["id"] for row in answer["data"]] == [ours]
        assert answer["total"] in (1, None)
        assert (nobody["data"], nobody["next_cursor"]) == ([], None)
