"""A host is cut off from the control link, or the link is away, for longer than the lease, and its task lives on."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.hosts.product import Product, is_closed, stayed
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

LEASE_S = 15  # without a word of a host
BACK_WITHIN_S = 30  # the longest wait before a host connects again, and the hello


@pytest.mark.parametrize(
    "break_line",
    [
        pytest.param(TcpProxy.freeze, id="frozen"),
        pytest.param(TcpProxy.cut, id="cut", marks=pytest.mark.slow),
    ],
)
def test_a_host_that_is_cut_off_for_longer_than_the_lease_keeps_its_chargers_and_does_then_what_was_requested(
    product: Product, fleet: dict[str, str], break_line: Callable[[TcpProxy], None]
) -> None:
    before = product.connected(fleet)
    product.all_observed(fleet.values(), "running")
    sessions = {identity: len(product.csms.of(identity)) for identity in fleet}
    task = product.hosts()

    break_line(product.line)
    product.all_observed(fleet.values(), "unknown", within_s=3 * LEASE_S)
    reason = product.charger(fleet["CP-001"])["runtime"]["reason"]
    away = stayed(before.values())
    product.call(f"/chargers/{fleet['CP-010']}/stop-charger", "POST")
    for verb in ("stop", "start", "reset", "reset"):
        product.call(f"/chargers/{fleet['CP-011']}/{verb}-charger", "POST")
    meanwhile = (away, stayed(before.values()), product.observed(fleet["CP-010"]))
    product.line.heal()

    stopped, restarted = before.pop("CP-010"), before.pop("CP-011")
    running = [fleet[identity] for identity in fleet if identity != "CP-010"]
    wait_until(partial(is_closed, stopped), BACK_WITHIN_S)
    product.all_observed([fleet["CP-010"]], "stopped", within_s=5)
    product.all_observed(running, "running", within_s=10)
    wait_until(partial(is_closed, restarted))
    product.csms.wait_for_boot("CP-011")

    assert "has not been heard of since" in reason
    assert meanwhile == (True, True, "unknown")
    assert stayed(before.values())
    assert len(product.csms.of("CP-010")) == sessions["CP-010"]
    assert len(product.csms.of("CP-011")) == sessions["CP-011"] + 1
    assert product.never_twice(fleet)
    assert product.hosts() == task
    product.call(f"/chargers/{fleet['CP-010']}/start-charger?wait=20", "POST")
    product.csms.wait_for_boot("CP-010")


@pytest.mark.slow
def test_of_a_host_that_is_not_heard_of_nothing_is_known(product: Product, fleet: dict[str, str]) -> None:
    product.connected(fleet)
    product.all_observed(fleet.values(), "running")

    product.kill("link")
    product.all_observed(fleet.values(), "unknown", within_s=2 * LEASE_S)
    reason = product.charger(fleet["CP-001"])["runtime"]["reason"]
    product.start("link")

    product.all_observed(fleet.values(), "running", within_s=40)
    assert "has not been heard of since" in reason
    assert product.never_twice(fleet)
