"""The SDK, about a thousand chargers of a location in one request."""

from typing import Any, cast

import pytest
from ocpplab import UpdateLocationChargerItem
from ocpplab.errors import BadRequestError

from shared.database.engine import Sessions
from shared.fleet.locations.chargers import MAX_NAMED
from shared.models import Charger
from tests.contract.http.conftest import Sdk
from tests.contract.http.test_locations import PARIS
from tests.support.environment import Token
from tests.support.fleet import NEW_CHARGER, Fleet


@pytest.fixture
def sdk(base_url: str, token: Token) -> Sdk:
    return Sdk(base_url, token(), "sync")


def test_a_thousand_chargers_are_named_in_one_request(sdk: Sdk, backend: Sessions, token: Token) -> None:
    """Their ids make a request line of 49 KB."""
    location_id = sdk("locations.create", **PARIS).id
    first = sdk("chargers.create", **NEW_CHARGER, location_id=location_id).charger_id
    Fleet(cast(Any, None), backend, token).multiply(first, MAX_NAMED - 1, prefix="X" * 23)
    with backend() as session:
        ids = [row.id for row in session.query(Charger.id).order_by(Charger.id.desc())]
    assert (len(ids), max(map(len, ids))) == (MAX_NAMED, 36)

    page = sdk("location_chargers.list", location_id=location_id, charger_ids=ids, page=10, limit=100)
    with pytest.raises(BadRequestError):
        sdk("location_chargers.list", location_id=location_id, charger_ids=[*ids[1:], "dep-unknown"])
    updated = sdk(
        "location_chargers.update",
        location_id=location_id,
        chargers=[
            UpdateLocationChargerItem(
                charger_id=charger_id, charge_point_name=f"Bay {number}", ws_url="ws://csms.test/other"
            )
            for number, charger_id in enumerate(ids)
        ],
    )
    deleted = sdk("location_chargers.delete", location_id=location_id, charger_ids=ids)

    assert page.total == MAX_NAMED
    assert [charger.id for charger in page.data] == ids[900:]
    assert (updated.updated_count, updated.failed_count) == (MAX_NAMED, 0)
    assert [charger.name for charger in updated.updated] == [f"Bay {number}" for number in range(MAX_NAMED)]
    assert (deleted.deleted_count, deleted.failed_count, deleted.deleted) == (MAX_NAMED, 0, ids)
