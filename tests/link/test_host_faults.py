"""Whatever breaks, a host ends up with what was decided last, no charger starts twice for it, and the rows say so."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.auth.control_tokens import ControlTokens
from shared.models import HostCharger
from tests.support.control_host import ControlHost
from tests.support.control_hosts import HostRows
from tests.support.control_link import CONTROL_SECRET, control_url
from tests.support.link_faults import FAULTS, Fault, FaultRig
from tests.support.waiting import wait_until

CHARGERS = 30


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_newest_decision_holds_and_each_restart_happens_once_whatever_breaks(
    rig: FaultRig, fault: Fault
) -> None:
    hosts = HostRows(rig.rows.sessions)
    host_id = hosts.host()
    charger_ids = [rig.rows.charger(f"CP-{random.getrandbits(40)}") for _ in range(CHARGERS)]
    urls = [control_url(link.port) for link in rig.links]
    with ControlHost(urls, host_id, ControlTokens([CONTROL_SECRET])) as host:
        hosts.place(host_id, *charger_ids)
        wait_until(lambda: hosts.running(host_id) == CHARGERS, 30, "all run")

        with decisions(hosts, charger_ids) as restarts:
            fault(rig, host)
        wait_until(lambda: all(is_followed(hosts.placed(each), host) for each in charger_ids), 30, "followed")

        for charger_id in charger_ids:
            assert len(host.chargers[charger_id].starts) <= 1 + restarts[charger_id]
        running = {each for each in charger_ids if hosts.placed(each).running}
        wait_until(lambda: {each for each in charger_ids if rig.rows.is_connected(each)} == running, 30)


def is_followed(row: HostCharger, host: ControlHost) -> bool:
    """Whether the host has what was decided, and the row says so."""
    charger = host.chargers[row.charger_id]
    return (
        row.seen_generation == row.generation == charger.generation
        and row.running == charger.is_on == (row.desired_count == 1)
        and row.boot_id == charger.starts[-1]
        and (not charger.is_on or charger.restart_generation == row.restart_generation)
    )


@contextmanager
def decisions(hosts: HostRows, charger_ids: list[str]) -> Iterator[dict[str, int]]:
    """Starts, stops and restarts by chance, as workers decide them. Yields how many starts each may have led to."""
    may_start = dict.fromkeys(charger_ids, 0)
    generations = dict.fromkeys(charger_ids, 1)
    stop = threading.Event()

    def decide() -> None:
        while not stop.wait(0.02):
            charger_id = random.choice(charger_ids)
            generations[charger_id] += 1
            generation = generations[charger_id]
            if random.random() < 0.5:
                hosts.decide(charger_id, generation, desired_count=0)
            else:
                may_start[charger_id] += 1
                hosts.decide(charger_id, generation, desired_count=1, restart_generation=generation)

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield may_start
    finally:
        stop.set()
        thread.join()
