"""What happens at a charger comes back: it is in the answers within a second, and the next process remembers it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import Api
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

SOON_S = 3.0  # a second, and the load of other tests


@dataclass
class Driven:
    """A charger that its CSMS accepted and that the control link reaches."""

    api: Api
    id: str
    identity: str

    def read(self) -> dict[str, Any]:
        return self.api(f"/ocpp/chargers/{self.id}")

    def act(self, path: str, **event: Any) -> None:
        """Perform it, and wait until it is applied."""
        body = {"target": {"charger_id": self.id}, "event": event}
        answer = self.api(f"/ocpp/commands/{path}", "POST", params={"wait": 10}, json=body)
        assert [result["status"] for result in answer.get("results", [])] in ([], ["applied"]), answer

    def shows(
        self, condition: Callable[[dict[str, Any]], object], within_s: float = SOON_S
    ) -> dict[str, Any]:
        wait_until(lambda: condition(self.read()), within_s, f"still {self.read()}")
        return self.read()


@pytest.fixture
def charger(api: Api, csms: RememberingCsms) -> Iterator[Driven]:
    identity = f"CP-{uuid4().hex[:8]}"
    body = {
        "identity": identity,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": csms.url,
    }
    charger = Driven(api, api("/ocpp/chargers", "POST", json=body)["charger_id"], identity)
    csms.wait_for_boot(identity, within_s=20)
    charger.shows(lambda shown: shown["status"] == "READY" and shown["control"]["connected"], 20)
    yield charger
    api(f"/ocpp/chargers/{charger.id}", "DELETE")


def test_what_happens_at_a_charger_is_shown_within_a_second(charger: Driven) -> None:
    assert charger.shows(lambda shown: shown["runtime"]["ocpp"]["state"] == "accepted")

    charger.act("plug-connector")
    charger.shows(lambda shown: shown["connectors"][0]["plugged"])
    charger.act("start-session", id_tag="TAG", connector_id=1)
    charging = charger.shows(lambda shown: shown["connectors"][0]["power_w"] > 0)
    charger.shows(lambda shown: shown["connectors"][0]["energy_wh"] > charging["connectors"][0]["energy_wh"])
    charger.act("inject-fault", fault_type="OverCurrent")
    faulted = charger.shows(lambda shown: shown["connectors"][0]["fault"])

    assert (charging["connectors"][0]["status"], faulted["connectors"][0]["status"]) == (
        "Charging",
        "Faulted",
    )
    assert faulted["control"]["stale"] is False


def test_a_restarted_charger_remembers_and_a_stopped_one_is_stale(
    charger: Driven, csms: RememberingCsms
) -> None:
    charger.act("plug-connector")
    before = charger.shows(lambda shown: shown["connectors"][0]["plugged"])

    charger.api(f"/ocpp/chargers/{charger.id}/restart-charger", "POST", params={"wait": 30})
    wait_until(lambda: len(csms.of(charger.identity)) == 2, 20)
    after = charger.shows(lambda shown: shown["connectors"] and not shown["control"]["stale"], 10)
    charger.api(f"/ocpp/chargers/{charger.id}/stop-charger", "POST", params={"wait": 30})
    stopped = charger.shows(lambda shown: shown["control"]["stale"], 10)

    assert after["connectors"] == before["connectors"] == stopped["connectors"]
    assert after["control"]["since"] > before["control"]["since"]
    assert stopped["control"]["connected"] is False
    assert stopped["runtime"]["ocpp"]["state"] == "disconnected"
