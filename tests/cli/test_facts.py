"""What `chargehand chargers get` prints of a charger."""

from copy import deepcopy
from typing import Any

import pytest

from api.http.document.examples import EXAMPLES
from chargehand.chargers import facts


@pytest.mark.parametrize(
    ("late", "shown"),
    [(None, "accepted"), ("The chargers' logs are read 95 s late", "accepted, a while ago")],
)
def test_a_link_that_may_have_changed_since_says_so(late: str | None, shown: str) -> None:
    row: Any = deepcopy(EXAMPLES["get_charger"].answer)
    row["runtime"]["ocpp"]["stale_reason"] = late

    assert facts(row)["CSMS"] == shown


def test_a_charger_on_a_host_is_shown_with_it() -> None:
    row: Any = deepcopy(EXAMPLES["get_charger"].answer)
    assert facts(row)["Placement"] == "dedicated"

    row["runtime"] |= {"placement": "shared", "host_id": "host-1"}

    assert facts(row)["Placement"] == "shared, on host-1"


def test_a_connector_is_shown_as_the_charger_last_reported_it() -> None:
    row: Any = deepcopy(EXAMPLES["get_charger"].answer)
    assert facts(row)["Connector 1"] == "Charging, transaction 4711, 11,000 W, 71 %"

    row["control"]["stale"] = True
    row["connectors"][0] |= {
        "status": "Faulted",
        "fault": "GroundFault",
        "transaction_id": None,
        "soc_percent": None,
    }

    assert facts(row)["Connector 1"] == "Faulted, GroundFault, a while ago"
