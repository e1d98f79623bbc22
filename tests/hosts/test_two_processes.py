"""Two processes may believe that they run the same chargers: one of them gives way, and a charger that moves has one connection."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from embedded.process import launch
from tests.hosts.product import Product, is_closed, stayed
from tests.support.stack import Session
from tests.support.waiting import wait_until

PINGED_OUT_S = 60  # of a process that stands still: by the link, and by the CSMS
SECOND_WAITS_S = 60  # at most, between two attempts of a process that is refused


@contextmanager
def second_process(pid: int) -> Iterator[psutil.Process]:
    """Another process of the same host, as the next task would be; the first one goes on."""
    first = psutil.Process(pid)
    child = subprocess.Popen(
        launch([*first.cmdline()]), env=first.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


def running_on_one_host(product: Product, fleet: dict[str, str]) -> tuple[dict[str, Session], int, str]:
    """The open session of each charger, when all run, and the process and the id of the only host."""
    sessions = product.connected(fleet)
    product.all_observed(fleet.values(), "running", within_s=60)
    [(pid, host_id)] = product.hosts().items()
    return sessions, pid, host_id


@pytest.mark.slow
def test_a_process_that_stood_still_gives_way_to_the_one_that_has_taken_its_place(
    product: Product, fleet: dict[str, str]
) -> None:
    """It connects none of them again. The CSMS may still have had its connections when the other process began."""
    before, pid, _ = running_on_one_host(product, fleet)
    first = product.boot_of_host()

    os.kill(pid, signal.SIGSTOP)
    try:
        with second_process(pid):
            wait_until(lambda: product.boot_of_host() != first, 3 * PINGED_OUT_S, "the second one is welcome")
            wait_until(lambda: all(map(is_closed, before.values())), PINGED_OUT_S)
            product.connected(fleet, within_s=PINGED_OUT_S)
            sessions = len(product.csms.sessions)
            thawed = {identity: product.csms.open_now(identity)[0] for identity in fleet}
            os.kill(pid, signal.SIGCONT)
            product.all_observed(fleet.values(), "running", within_s=60)
            undisturbed = (stayed(thawed.values()), len(product.csms.sessions) - sessions)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: all(map(is_closed, thawed.values())))
    product.connected(fleet, within_s=2 * SECOND_WAITS_S)
    product.all_observed(fleet.values(), "running", within_s=60)

    assert undisturbed == (True, 0)
    assert product.host_pids() == [pid]
    product.csms.remove_closed()


@pytest.mark.slow
def test_a_charger_of_a_host_that_is_cut_off_moves_only_when_that_host_has_ended_it(
    product: Product, fleet: dict[str, str]
) -> None:
    """Its host drains meanwhile, and another one is there that has room."""
    before, pid, host_id = running_on_one_host(product, fleet)

    product.cut_off(pid)
    product.call(f"/hosts/{host_id}/drain", "POST")
    other = product.create("OTHER-", 1)
    product.connected(other, within_s=60)
    product.all_observed(fleet.values(), "unknown", within_s=60)
    meanwhile = (
        stayed(before.values()),
        {product.charger(each)["runtime"]["host_id"] for each in fleet.values()},
    )
    product.line.heal()
    wait_until(lambda: all(map(is_closed, before.values())), within_s=60, what="the old host ends them")
    product.connected(fleet, within_s=60)
    product.all_observed(fleet.values(), "running", within_s=60)
    wait_until(lambda: host_id not in product.hosts().values(), within_s=60, what="the old host is removed")

    assert meanwhile == (True, {host_id})
    assert {len(product.csms.open_now(identity)) for identity in fleet} == {1}
    assert product.never_twice([*fleet, *other])
    assert {product.charger(each)["runtime"]["host_id"] for each in fleet.values()} != {host_id}
    product.delete(other.values())


@pytest.mark.slow
def test_a_charger_of_a_host_that_is_cut_off_and_dies_moves_when_ecs_has_stopped_its_task(
    product: Product, fleet: dict[str, str]
) -> None:
    """The next task of the old host has nothing to run by then, or hears that they leave."""
    before, pid, host_id = running_on_one_host(product, fleet)

    product.cut_off(pid)
    product.call(f"/hosts/{host_id}/drain", "POST")
    product.all_observed(fleet.values(), "unknown", within_s=60)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(map(is_closed, before.values())))
    product.connected(fleet, within_s=120)
    product.all_observed(fleet.values(), "running", within_s=60)
    product.line.heal()
    wait_until(lambda: host_id not in product.hosts().values(), within_s=120, what="the old host is removed")

    assert product.never_twice(fleet)
    assert len(product.host_pids()) == 1
