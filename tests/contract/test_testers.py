"""Chargers that misbehave and that perform scenarios, from the API to the CSMS."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import Api
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until


@dataclass
class Driven:
    """A charger that its CSMS accepted and that the control link reaches."""

    api: Api
    csms: RememberingCsms
    identity: str
    charger_id: str

    def begin(self, path: str, event: dict[str, Any]) -> Any:
        """Queues the action; its row when it is final."""
        body = {"target": {"charger_id": self.charger_id}, "event": event}
        queued = self.api(f"/ocpp/commands/{path}", "POST", json=body, params={"wait": 10})
        [result] = queued["results"]
        assert result["status"] == "applied", result
        return result["result"]

    def shown(self, path: str, method: str = "GET") -> Any:
        return self.api(f"/ocpp/commands/{path}", method, params={"charger_id": self.charger_id})


@pytest.fixture
def driven(api: Api, csms: RememberingCsms) -> Iterator[Driven]:
    with running_charger(api, csms) as charger:
        yield charger


@contextmanager
def running_charger(api: Api, csms: RememberingCsms, **more: Any) -> Iterator[Driven]:
    identity = f"CP-{uuid4().hex[:8]}"
    body = {
        "identity": identity,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": csms.url,
        "ocpp_version": "OCPP1.6",
        **more,
    }
    charger_id = api("/ocpp/chargers", "POST", json=body)["charger_id"]
    csms.wait_for_boot(identity, within_s=20)
    wait_until(lambda: api(f"/ocpp/chargers/{charger_id}/status")["status"] == "READY", 20)
    yield Driven(api, csms, identity, charger_id)
    api(f"/ocpp/chargers/{charger_id}", "DELETE")


def test_a_charger_misbehaves_shows_it_and_stops(driven: Driven) -> None:
    armed = {"kind": "answer_with", "action": "ClearCache", "answer": {"status": 7}}
    assert driven.begin("misbehave", armed)["armed"] == [armed | {"fired": 0}]

    wrong = driven.csms.call(driven.identity, "ClearCache", {})
    right = driven.csms.call(driven.identity, "ClearCache", {})

    assert (wrong, right) == ({"status": 7}, {"status": "Accepted"})
    assert driven.shown("misbehave") == {"armed": [], "spent": [armed | {"fired": 1}]}
    driven.begin("misbehave", {"kind": "refuse_requests", "how_often": "always"})
    assert driven.shown("misbehave", "DELETE") == {"stopped": 1}
    assert driven.csms.call(driven.identity, "ClearCache", {}) == {"status": "Accepted"}


def test_a_charger_without_power_is_driven_still_and_boots_again(driven: Driven) -> None:
    driven.begin("misbehave", {"kind": "power_cut", "seconds": 600})
    driven.csms.wait_for_end(driven.identity)

    assert driven.shown("misbehave", "DELETE") == {"stopped": 1}

    wait_until(
        lambda: (
            [call.action for call in driven.csms.calls_of(driven.identity)].count("BootNotification") == 2
        ),
        10,
    )


def visit(id_tag: str) -> list[dict[str, Any]]:
    return [
        {"wait_until": {"link": "accepted"}},
        {"do": "plug_connector"},
        {"do": "present_token", "with": {"id_tag": id_tag}},
        {"wait_until": {"energy_wh": 1}, "within_s": 20},
        {"do": "unplug_connector"},
    ]


def stopped_with(driven: Driven, id_tag: str) -> None:
    """Waits until a transaction of this token has come and gone."""
    started = driven.csms.wait_for_call(
        driven.identity, "StartTransaction", lambda payload: payload["idTag"] == id_tag, within_s=20
    )
    after = driven.csms.calls_of(driven.identity).index(started)
    driven.csms.wait_for_call(driven.identity, "StopTransaction", after=after, within_s=20)


def test_a_charger_performs_a_scenario(driven: Driven) -> None:
    driven.begin("scenario", {"steps": visit("CARD-1")})

    stopped_with(driven, "CARD-1")
    wait_until(lambda: driven.shown("scenario")["ended"] == "all its steps are done", 5)


def test_a_charger_begins_with_its_scenario_and_takes_another_while_it_runs(
    api: Api, csms: RememberingCsms
) -> None:
    with running_charger(api, csms, scenario=visit("CARD-1")) as driven:
        stopped_with(driven, "CARD-1")

        api(f"/ocpp/chargers/{driven.charger_id}", "PUT", json={"scenario": {"steps": visit("CARD-2")}})

        stopped_with(driven, "CARD-2")
        shown = api(f"/ocpp/chargers/{driven.charger_id}")["spec"]["scenario"]
        assert shown == {"steps": visit("CARD-2")}
        boots = [call for call in csms.calls_of(driven.identity) if call.action == "BootNotification"]
        assert len(boots) == 1
