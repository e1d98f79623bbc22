"""The official SDK makes a site whose chargers really connect, and removes it."""

from typing import Any
from uuid import uuid4

from ocpplab import ChargerGroup, ChargerTemplate, Coordinates

from tests.contract.conftest import Api
from tests.contract.sdk import Sdk
from tests.support.fleet import NEW_CHARGER, NEW_LOCATION
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until


def test_the_sdk_creates_a_site_whose_chargers_connect_and_names_those_that_failed(
    sdk: Sdk, api: Api, csms: RememberingCsms
) -> None:
    prefix = f"CP-{uuid4().hex[:6]}-"
    charger: dict[str, Any] = {
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": csms.url,
    }
    taken = sdk("create", identity=f"{prefix}003", **charger)
    site = sdk(
        "create",
        resource="locations",
        name="Depot",
        address="Jungfernstieg 1",
        city="Hamburg",
        country="DE",
        coordinates=Coordinates(latitude=53.55, longitude=9.99),
    )
    template = ChargerTemplate(
        **charger, ocpp_version="OCPP2.0.1", identity_prefix=prefix, template_name="Bay"
    )

    accepted = sdk(
        "create",
        resource="location_chargers",
        location_id=site.id,
        request=[ChargerGroup(template=template, charger_ids=["001", "002", "003"])],
    )
    job: list[Any] = []

    def is_ready() -> bool:
        job[:] = [
            sdk("get_bulk_job", resource="location_chargers", location_id=site.id, job_id=accepted.job_id)
        ]
        return bool(job[0].status == "READY")

    wait_until(is_ready, 30)

    results = job[0].results
    assert (results["created_count"], results["failed_count"]) == (2, 1)
    assert sorted(row["identity"] for row in results["created"]) == [f"{prefix}001", f"{prefix}002"]
    assert {row["location_id"] for row in results["created"]} == {site.id}
    assert [row["identity"] for row in results["failed"]] == [f"{prefix}003"]
    assert results["failed"][0]["error"]
    for row in results["created"]:
        assert csms.wait_for_boot(row["identity"]).subprotocol == "ocpp2.0.1"

    assert sdk("delete", resource="locations", location_id=site.id) is None
    for row in results["created"]:
        csms.wait_for_end(row["identity"], within_s=10)
    assert api(f"/ocpp/chargers?location_id={site.id}")["total"] == 0
    sdk("delete", charger_id=taken.charger_id)


def test_a_site_restarts_stops_and_goes_with_one_request_each(api: Api, csms: RememberingCsms) -> None:
    """A wait after a restart counts the new process only, and does not wait for a charger that is stopped."""
    prefix = f"CP-{uuid4().hex[:6]}-"
    identities = [f"{prefix}{number}" for number in (1, 2)]
    site = api("/ocpp/locations", "POST", json=NEW_LOCATION)["id"]
    for identity in identities:
        body = NEW_CHARGER | {"identity": identity, "ws_url": csms.url, "location_id": site}
        api("/ocpp/chargers", "POST", json=body)

    def wait(share: float = 1) -> dict[str, Any]:
        return api(f"/ocpp/locations/{site}/wait?wait=50", "POST", json={"share": share}, timeout=60)

    def finish(verb: str) -> Any:
        job = api(f"/ocpp/locations/{site}/{verb}-chargers", "POST", json={"expected_count": 2})
        return api(f"{job['status_url']}?wait=50", timeout=60)["counts"]

    assert wait()["reached"]
    before = {identity: len(csms.of(identity)) for identity in identities}

    assert finish("reset")["succeeded"] == 2
    assert wait()["accepted"] == 2
    assert {identity: len(csms.of(identity)) for identity in identities} == {
        identity: number + 1 for identity, number in before.items()
    }

    assert finish("stop")["succeeded"] == 2
    assert [row["reason"] for row in wait()["not_accepted"]] == ["It is stopped"] * 2

    assert finish("start")["succeeded"] == 2
    assert wait(0.5)["reached"]
    api(f"/ocpp/locations/{site}", "DELETE")
    for identity in identities:
        csms.wait_for_end(identity, within_s=20)
    [job] = api(f"/ocpp/jobs?location_id={site}&action=delete")["data"]
    assert api(f"/ocpp/jobs/{job['id']}?wait=50", timeout=60)["counts"]["succeeded"] == 2
