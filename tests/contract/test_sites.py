"""A site of the gallery, from the request that makes it to the one that deletes its chargers, with chargers that talk OCPP."""

from uuid import uuid4

from tests.contract.conftest import Api
from tests.support.fleet import NEW_LOCATION
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

FEW_S = 10  # for three chargers, on a machine that does other things too


def test_a_site_of_a_template_goes_up_moves_to_another_csms_and_goes_away(
    api: Api, csms: RememberingCsms
) -> None:
    prefix = f"CP-{uuid4().hex[:8]}-"
    identities = [f"{prefix}00{number}" for number in (1, 2, 3)]
    new = NEW_LOCATION | {"template_slug": "taxi-rank", "ws_url": csms.url, "identity_prefix": prefix}

    site = api("/ocpp/locations", "POST", json=new)
    job = api(f"{site['status_url']}?wait=60", timeout=90)
    chargers = f"/ocpp/locations/{site['id']}/chargers"

    assert (job["status"], job["results"]["created_count"]) == ("READY", 3)
    for identity in identities:
        csms.wait_for_boot(identity, within_s=FEW_S)
    ids = [charger["id"] for charger in api(chargers)["data"]]

    moved = api(
        chargers,
        "PUT",
        json={"chargers": [{"charger_id": charger_id, "ws_url": f"{csms.url}/other"} for charger_id in ids]},
    )

    assert moved["updated_count"] == 3
    for identity in identities:
        wait_until(lambda name=identity: len(csms.of(name)) == 2, FEW_S)  # type: ignore[misc]

    deleted = api(chargers, "DELETE", params={"charger_ids": ids})

    assert deleted["deleted"] == ids
    for identity in identities:
        csms.wait_for_end(identity, within_s=FEW_S)
