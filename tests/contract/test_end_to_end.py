"""The main job: the official SDK drives a charger that really talks OCPP, and the status is true at every step."""

import signal
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from ocpplab.errors import NotFoundError

from tests.contract.conftest import Api
from tests.contract.sdk import Sdk
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until


@pytest.fixture
def identity() -> str:
    return f"CP-{uuid4().hex[:8]}"


def wait_for_command(api: Api, answer: Any, within_s: float = 10) -> dict[str, Any]:
    """The command of a lifecycle answer, when it is final."""
    found: dict[str, Any] = {}

    def final() -> bool:
        found.update(api(answer.status_url))
        return found["status"] in {"succeeded", "failed", "superseded"}

    wait_until(final, within_s)
    return found


@pytest.mark.parametrize(
    ("ocpp_version", "subprotocol"), [("OCPP1.6", "ocpp1.6"), ("OCPP2.0.1", "ocpp2.0.1")]
)
def test_the_sdk_takes_a_charger_through_its_whole_life(  # noqa: PLR0917  # fixtures
    sdk: Sdk, api: Api, csms: RememberingCsms, identity: str, ocpp_version: str, subprotocol: str
) -> None:
    # Create -> READY -> connected.
    created = sdk(
        "create",
        identity=identity,
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        connector_type="Type2",
        ws_url=csms.url,
        ocpp_version=ocpp_version,
        charge_point_name="Bay A01",
    )
    charger_id = created.charger_id
    wait_until(lambda: sdk("get_status", charger_id=charger_id).status == "READY", 15)
    session = csms.wait_for_boot(identity, within_s=5)
    assert session.subprotocol == subprotocol
    wait_until(lambda: api(f"/ocpp/chargers/{charger_id}")["runtime"]["ocpp"]["state"] == "accepted", 5)
    runtime = api(f"/ocpp/chargers/{charger_id}")["runtime"]
    assert (runtime["desired"], runtime["observed"], runtime["stale"]) == ("running", "running", False)

    # Stop -> disconnected.
    stop = sdk("stop_runtime", charger_id=charger_id, request={})
    requested_at = monotonic()
    csms.wait_for_end(identity, within_s=3)
    assert (stop.id, stop.event_type, stop.payload["desired_count"]) == (charger_id, "stop_charger", 0)
    assert wait_for_command(api, stop)["status"] == "succeeded"
    assert session.closed_at is not None
    assert session.closed_at - requested_at < 3
    assert api(f"/ocpp/chargers/{charger_id}")["runtime"]["observed"] == "stopped"

    # Start -> connected again.
    start = sdk("start_runtime", charger_id=charger_id, request=None)
    assert wait_for_command(api, start)["status"] == "succeeded"
    before = csms.wait_for_boot(identity)

    # Restart -> another session, after the old one.
    restart = sdk("reset_runtime", charger_id=charger_id, request={"key": "value"})
    assert restart.event_type == "reset_charger"
    assert wait_for_command(api, restart)["status"] == "succeeded"
    after = csms.wait_for_boot(identity)
    assert before.closed_at is not None
    assert after.opened_at > before.closed_at

    # Logs, delete.
    wait_until(lambda: sdk("get_logs", charger_id=charger_id, event="BootNotification").total >= 6, 10)
    assert sdk("delete", charger_id=charger_id) is None
    csms.wait_for_end(identity, within_s=8)
    with pytest.raises(NotFoundError):
        sdk("get", charger_id=charger_id)
    assert csms.most_at_once(identity) == 1
    assert len(csms.of(identity)) == 3


def test_a_charger_that_is_killed_comes_back_and_the_api_shows_it_in_between(
    stack: Stack, api: Api, csms: RememberingCsms, identity: str
) -> None:
    charger_id = create(api, csms, identity)
    csms.wait_for_boot(identity)

    kill_charger(stack, charger_id)

    seen: list[dict[str, Any]] = []

    def noticed() -> bool:
        seen.append(api(f"/ocpp/chargers/{charger_id}")["runtime"])
        return bool(seen[-1]["running_count"] == 0)

    wait_until(noticed, 5)
    assert seen[-1]["observed"] == "starting"
    wait_until(lambda: api(f"/ocpp/chargers/{charger_id}")["runtime"]["observed"] == "running", 10)
    csms.wait_for_boot(identity, within_s=10)


def test_a_space_in_an_identity_reaches_the_csms(api: Api, csms: RememberingCsms, identity: str) -> None:
    """OCPP-J 1.6, 3.1.1: `RDAM 123` is `RDAM%20123` in the URL."""
    identity = identity.replace("-", " ")
    charger_id = create(api, csms, identity)

    csms.wait_for_boot(identity, within_s=10)

    found = api("/ocpp/chargers", params={"identity": identity})["data"]
    assert [charger["id"] for charger in found] == [charger_id]
    api(f"/ocpp/chargers/{charger_id}", "DELETE")


def test_a_new_url_moves_the_charger_to_another_csms(api: Api, csms: RememberingCsms, identity: str) -> None:
    charger_id = create(api, csms, identity)
    csms.wait_for_boot(identity)

    with RememberingCsms() as other:
        api(f"/ocpp/chargers/{charger_id}", "PUT", json={"ws_url": other.url})
        other.wait_for_boot(identity, within_s=10)

        assert csms.open_now(identity) == []
        [command] = api(f"/ocpp/chargers/{charger_id}/commands")["data"]
        assert command["event_type"] == "create_charger"  # the control link moves it, not ECS
        api(f"/ocpp/chargers/{charger_id}/stop-charger", "POST")
        other.wait_for_end(identity, within_s=5)


def test_a_command_is_accepted_at_once_while_ecs_is_slow(
    stack: Stack, api: Api, csms: RememberingCsms, identity: str
) -> None:
    charger_id = create(api, csms, identity)
    stack.set_faults({"kind": "delay", "action": "UpdateService", "seconds": 10})
    try:
        started = monotonic()
        api(f"/ocpp/chargers/{charger_id}/stop-charger", "POST")
        took_s = monotonic() - started
    finally:
        stack.set_faults()

    assert took_s < 1
    wait_until(lambda: api(f"/ocpp/chargers/{charger_id}")["runtime"]["observed"] == "stopped", 30)


def create(api: Api, csms: RememberingCsms, identity: str) -> str:
    """A READY charger at the CSMS."""
    return create_at(api, csms.url, identity)


def create_at(api: Api, ws_url: str, identity: str) -> str:
    created = api(
        "/ocpp/chargers",
        "POST",
        json={
            "identity": identity,
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": ws_url,
        },
    )
    wait_until(lambda: api(created["status_url"])["status"] == "READY", 15)
    charger_id: str = created["charger_id"]
    return charger_id


def kill_charger(stack: Stack, charger_id: str) -> None:
    """kill -9 of the charger's process."""
    tasks = httpx.get(f"{stack.ecs_url}/_chargehand/tasks", auth=stack.ecs_owner, **PLAIN_HTTP).json()
    pid = next(task["pid"] for task in tasks if task["service"] == charger_id)
    psutil.Process(pid).send_signal(signal.SIGKILL)


def test_every_maintenance_task_runs_and_ready_says_so(api: Api) -> None:
    wait_until(lambda: api("/ready")["maintenance"] == "ok", 20)
