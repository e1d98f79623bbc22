"""Whatever breaks, no action is lost in silence, none is applied twice, and none reaches a later boot of its charger."""

import random
import threading

import pytest

from shared.auth.control_tokens import ControlTokens
from tests.support.control_fleet import ControlFleet
from tests.support.control_link import CONTROL_SECRET, ControlRows, control_url
from tests.support.link_faults import FAULTS, Fault, FaultRig
from tests.support.waiting import wait_until

CHARGERS = 12
FINAL = ("applied", "rejected", "expired", "failed")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_action_is_applied_once_whatever_breaks_meanwhile(rig: FaultRig, fault: Fault) -> None:
    fleet = fleet_of(rig)
    with fleet, Load(rig.rows, fleet) as load:
        wait_until(lambda: len(load.ids) > 20, 30)
        fault(rig, fleet)
        wait_until(lambda: fleet.connected == CHARGERS, 30)
        count = len(load.ids)
        wait_until(lambda: len(load.ids) > count + 20, 30)
        load.stop()
        wait_until(lambda: load.open() == 0, 30, "every action is final")

        statuses = [rig.rows.read(action_id).status for action_id in load.ids]
        applied = [action_id for charger in fleet.chargers for action_id in charger.applied]

    assert set(statuses) == {"applied"}
    assert sorted(applied) == sorted(load.ids)


def test_what_a_rebooted_charger_has_missed_fails_and_nothing_reaches_its_new_boot(rig: FaultRig) -> None:
    fleet = fleet_of(rig)
    with fleet, Load(rig.rows, fleet) as load:
        wait_until(lambda: fleet.connected == CHARGERS, 30)
        for charger in fleet.chargers:
            charger.silent = True
        wait_until(lambda: len(load.ids) > 20, 30)
        load.stop()
        for charger in fleet.chargers:
            charger.silent = False
            fleet.reboot(charger)
        wait_until(lambda: load.open() == 0, 30)

        rows = [rig.rows.read(action_id) for action_id in load.ids]
        applied = {action_id for charger in fleet.chargers for action_id in charger.applied}

    missed = [row for row in rows if row.id not in applied]
    assert missed
    assert {row.reason_code for row in missed} == {"charger_restarted"}


def fleet_of(rig: FaultRig) -> ControlFleet:
    charger_ids = [rig.rows.charger(f"CP-{random.getrandbits(40)}") for _ in range(CHARGERS)]
    urls = [control_url(link.port) for link in rig.links]
    return ControlFleet(urls, charger_ids, ControlTokens([CONTROL_SECRET]))


class Load:
    """Requests actions of chargers that have been connected once, in a thread, until it is stopped."""

    def __init__(self, rows: ControlRows, fleet: ControlFleet) -> None:
        self.ids: list[int] = []
        self._rows = rows
        self._fleet = fleet
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        wait_until(lambda: self._fleet.connected == CHARGERS, 30)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def open(self) -> int:
        """How many of the actions are not final."""
        return sum(self._rows.read(action_id).status not in FINAL for action_id in self.ids)

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            self.ids.append(self._rows.action(random.choice(self._fleet.chargers).charger_id))
