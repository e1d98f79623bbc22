"""The report of a job with real chargers: one that its CSMS accepts, and one that finds nobody."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import Api
from tests.contract.test_link import NOBODY
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

Create = Callable[[str], str]


@pytest.fixture
def create(api: Api) -> Iterator[Create]:
    """Creates a charger that is to reach a URL, and returns its id when it is ready. It is removed at the end."""
    made: list[str] = []

    def create(ws_url: str) -> str:
        body = {
            "identity": f"CP-{uuid4().hex[:8]}",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": ws_url,
        }
        made.append(api("/ocpp/chargers", "POST", params={"wait": 20}, json=body, timeout=30)["charger_id"])
        return made[-1]

    yield create
    for charger_id in made:
        api(f"/ocpp/chargers/{charger_id}", "DELETE")


def test_a_restart_is_measured_until_the_boot_that_the_csms_accepted(
    api: Api, create: Create, csms: RememberingCsms
) -> None:
    good, lost = create(csms.url), create(NOBODY)
    wait_until(lambda: api(f"/ocpp/chargers/{good}")["runtime"]["ocpp"]["state"] == "accepted", 20)
    before = api(f"/ocpp/chargers/{good}")["runtime"]["ocpp"]["since"]
    job_id = api("/ocpp/chargers/restart", "POST", json={"charger_ids": [good, lost]})["job_id"]
    api(f"/ocpp/jobs/{job_id}", params={"wait": 60}, timeout=70)

    def report() -> dict[str, Any]:
        return api(f"/ocpp/jobs/{job_id}/report")

    def boots() -> list[dict[str, Any]]:
        return [row for row in report()["frames"]["by_action"] if row["action"] == "BootNotification"]

    wait_until(lambda: report()["outcomes"] == {"passed": 1, "failed": 1, "skipped": 0, "open": 0}, 30)
    wait_until(boots, 30, "the log is not read")
    accepted, failed = report()["chargers"]
    (boot,) = boots()
    assert accepted["accepted_at"] > before, "not the process that was stopped"
    assert 0 < accepted["seconds"] == report()["seconds"]["max"] < 60
    assert (failed["reason_code"], failed["seconds"]) == ("connection_refused", None)
    assert (boot["caller"], boot["calls"], boot["results"]) == ("charger", 1, 1)
    assert boot["latency_ms"]["max"] >= 0
