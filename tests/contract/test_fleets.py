"""The official SDK makes a site whose chargers really connect, and removes it."""

from typing import Any
from uuid import uuid4

from ocpplab import ChargerGroup, ChargerTemplate, Coordinates

from tests.contract.conftest import Api
from tests.contract.sdk import Sdk
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
