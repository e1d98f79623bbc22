"""Shared chargers are as other chargers to those who drive them, whatever befalls the processes between."""

import signal
from functools import partial
from typing import Any

from tests.hosts.conftest import CHARGERS
from tests.hosts.product import Product, is_closed, stayed
from tests.support.waiting import wait_until


def test_the_chargers_of_one_request_live_in_one_task(product: Product, fleet: dict[str, str]) -> None:
    product.connected(fleet)
    product.all_observed(fleet.values(), "running")

    [host] = product.call("/hosts")["data"]
    runtimes = [product.charger(charger_id)["runtime"] for charger_id in fleet.values()]
    assert len(product.host_pids()) == 1
    assert (host["chargers"], host["state"]) == (CHARGERS, "running")
    assert {(runtime["placement"], runtime["host_id"]) for runtime in runtimes} == {("shared", host["id"])}
    assert {runtime["ocpp"]["state"] for runtime in runtimes} == {"accepted"}


def test_a_charger_stops_starts_and_restarts_once_while_its_neighbours_stay(
    product: Product, fleet: dict[str, str]
) -> None:
    before = product.connected(fleet)
    charger_id, session = fleet["CP-003"], before.pop("CP-003")
    sessions = len(product.csms.of("CP-003"))

    product.call(f"/chargers/{charger_id}/stop-charger?wait=20", "POST")
    stopped = product.observed(charger_id)
    product.csms.wait_for_end("CP-003")
    product.call(f"/chargers/{charger_id}/start-charger?wait=20", "POST")
    started = product.csms.wait_for_boot("CP-003")
    product.call(f"/chargers/{charger_id}/reset-charger?wait=20", "POST")
    wait_until(partial(is_closed, started))
    product.csms.wait_for_boot("CP-003")

    assert (stopped, is_closed(session)) == ("stopped", True)
    assert len(product.csms.of("CP-003")) == sessions + 2
    assert product.never_twice(fleet)
    assert stayed(before.values())


def test_the_log_of_a_charger_has_its_own_frames(product: Product, fleet: dict[str, str]) -> None:
    product.connected(fleet)

    def boots(identity: str) -> list[dict[str, Any]]:
        """Of all its sessions; empty until each is in the log."""
        path = f"/chargers/{fleet[identity]}/logs?event=BootNotification&limit=100"
        frames = list(product.call(path)["data"])
        return frames if len(frames) == 2 * len(product.csms.of(identity)) else []

    for identity in ("CP-005", "CP-006"):
        frames = wait_until(partial(boots, identity), within_s=20)
        assert {"BootNotification"} == {frame["action"] for frame in frames}
        assert all(identity in frame["message"] for frame in frames if frame["direction"] == "cp_to_csms")


def test_a_deleted_charger_ends_and_its_neighbours_stay(product: Product, fleet: dict[str, str]) -> None:
    before = product.connected(fleet)
    product_ids = product.create("GONE-", 3)
    product.connected(product_ids)

    for charger_id in product_ids.values():
        product.call(f"/chargers/{charger_id}", "DELETE")
    for identity in product_ids:
        product.csms.wait_for_end(identity, within_s=10)

    def chargers_of_hosts() -> int:
        return sum(host["chargers"] for host in product.call("/hosts")["data"])

    wait_until(lambda: chargers_of_hosts() == CHARGERS)
    assert stayed(before.values())


def test_a_charger_moves_to_a_service_of_its_own_and_back_and_takes_its_memory_with_it(
    product: Product, fleet: dict[str, str]
) -> None:
    before = product.connected(fleet)
    charger_id = fleet["CP-004"]
    del before["CP-004"]
    setting = {"key": "MeterValueSampleInterval", "value": "77"}
    product.csms.call("CP-004", "ChangeConfiguration", setting)
    kept = []

    for placement in ("dedicated", "shared"):
        [session] = product.csms.open_now("CP-004")
        product.call(f"/chargers/{charger_id}", "PUT", json={"placement": placement})
        wait_until(partial(is_closed, session), within_s=20)
        product.connected(["CP-004"], within_s=40)
        product.all_observed([charger_id], "running")
        answer = product.csms.call("CP-004", "GetConfiguration", {"key": ["MeterValueSampleInterval"]})
        runtime = product.charger(charger_id)["runtime"]
        kept.append((answer["configurationKey"][0]["value"], runtime["placement"], bool(runtime["host_id"])))

    assert kept == [("77", "dedicated", False), ("77", "shared", True)]
    assert product.never_twice(fleet)
    assert stayed(before.values())


def test_chargers_go_on_while_there_is_no_control_link(product: Product, fleet: dict[str, str]) -> None:
    before = product.connected(fleet)
    charger_id = fleet["CP-007"]

    product.kill("link")
    stop = product.call(f"/chargers/{charger_id}/stop-charger", "POST")
    product.start("link")

    product.csms.wait_for_end("CP-007", within_s=40)
    wait_until(lambda: product.observed(charger_id) == "stopped", within_s=20)
    del before["CP-007"]
    assert stop["command_id"]
    assert stayed(before.values())
    product.call(f"/chargers/{charger_id}/start-charger?wait=20", "POST")
    product.csms.wait_for_boot("CP-007")


def test_a_worker_that_was_killed_leaves_no_command_undone(product: Product, fleet: dict[str, str]) -> None:
    before = product.connected(fleet)
    charger_id = fleet["CP-008"]

    product.kill("worker")
    product.call(f"/chargers/{charger_id}/stop-charger", "POST")
    product.start("worker")

    product.csms.wait_for_end("CP-008", within_s=60)
    product.call(f"/chargers/{charger_id}/start-charger?wait=30", "POST")
    product.csms.wait_for_boot("CP-008")
    del before["CP-008"]
    assert stayed(before.values())


def test_a_host_that_stood_still_goes_on_with_its_chargers(product: Product, fleet: dict[str, str]) -> None:
    product.connected(fleet)
    product.all_observed(fleet.values(), "running")

    product.signal_hosts(signal.SIGSTOP)
    try:
        product.all_observed(fleet.values(), "unknown", within_s=60)
    finally:
        product.signal_hosts(signal.SIGCONT)

    product.all_observed(fleet.values(), "running", within_s=40)
    product.connected(fleet)
    assert product.never_twice(fleet)
    assert len(product.host_pids()) == 1
