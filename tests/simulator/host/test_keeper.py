"""What a host does with what it is to run: crashes, refusals, full houses, and entries in any order."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.charge_point.registration import Registration
from simulator.control.frames import Frame
from simulator.control.hosted import Hosted
from simulator.host import crashes
from simulator.host.crashes import FIRST_WAIT_S, LONGEST_WAIT_S, MAX_CRASHES, WITHIN_S, Crashes
from simulator.host.keeper import Keeper
from simulator.log import EventLog
from tests.simulator.host.hosting import desired, hosting
from tests.support.csms import call16
from tests.support.waiting import wait_until_async

NOWHERE = "ws://127.0.0.1:9/ocpp"


@contextmanager
def faulty(identity: str) -> Iterator[None]:
    """The boot of this charger fails in the charger's own code."""
    register = Registration.register

    async def fail(self: Registration, session: object) -> bool:
        if self._log._about["charger"] == identity:  # type: ignore[index]
            raise ZeroDivisionError
        return await register(self, session)  # type: ignore[arg-type]

    with patch.object(Registration, "register", fail):
        yield


async def test_a_crash_reaches_no_neighbour_and_is_reported_until_the_charger_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes, "FIRST_WAIT_S", 0.1)
    async with hosting(tmp_path) as (host, link, session, csms):
        await link.give(desired("dep-1", csms.url))
        neighbour = await csms.accepted()
        with faulty("dep-2"):
            await link.give(desired("dep-2", csms.url))
            await wait_until_async(lambda: link.observed("dep-2").get("fault"))
            crashed = link.observed("dep-2")
        await wait_until_async(lambda: link.observed("dep-2")["running"])

        assert (await neighbour.call(call16.ClearCache())).status == "Accepted"

    observed = [each for each in session.all("observed") if each["charger"] == "dep-2"]
    assert crashed["running"] is False
    assert "ZeroDivisionError" in crashed["fault"]
    assert (observed[-1]["running"], observed[-1]["fault"], observed[-1]["generation"]) == (True, None, 1)
    assert len({each["boot"] for each in host.lines("dep-2")}) > 1
    assert len({each["boot"] for each in host.lines("dep-1")}) == 1


async def test_a_charger_that_always_crashes_stays_down_until_it_is_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes, "FIRST_WAIT_S", 0.1)  # longer than the host gathers what it says
    async with hosting(tmp_path) as (_, link, session, csms):
        with faulty("dep-1"):
            await link.give(desired("dep-1", csms.url))
            await wait_until_async(lambda: "stays down" in (link.observed("dep-1").get("fault") or ""))
            await link.give(desired("dep-1", csms.url))
        attempts = len(csms.links)
        faults = [each["fault"] for each in session.all("observed") if each["fault"]]

        await link.give(desired("dep-1", csms.url, 2))
        again = await link.settled("dep-1", 2)

    assert attempts == MAX_CRASHES
    assert len(faults) >= MAX_CRASHES
    assert again["running"]


def test_the_waits_after_crashes_double_and_end() -> None:
    recent, rare = Crashes(), Crashes()

    waits = [recent.note(at_s) for at_s in range(MAX_CRASHES)]
    rare_waits = [rare.note(at_s * WITHIN_S) for at_s in range(20)]

    assert waits[-1] is None
    for number, wait_s in enumerate(waits[:-1]):
        assert wait_s is not None
        longest_s = min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S)
        assert 0.75 * longest_s <= wait_s <= longest_s
    assert all(wait_s is not None and wait_s <= FIRST_WAIT_S for wait_s in rare_waits)


async def test_refused_settings_are_a_fault_until_better_ones_come(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, _, csms):
        await link.give(desired("dep-1", csms.url, connectors=0))
        refused = await link.settled("dep-1", 1)
        await link.give(desired("dep-2", csms.url, configuration='{"HeartbeatInterval": "soon"}'))
        also_refused = await link.settled("dep-2", 1)

        await link.give(desired("dep-1", csms.url, 2, revision=2))
        better = await link.settled("dep-1", 2)

    assert (refused["running"], refused["fault"]) == (
        False,
        "CHARGER_CONNECTORS must be a whole number from 1 to 100, not '0'",
    )
    assert also_refused["fault"].startswith("CHARGER_CONFIGURATION")
    assert (better["running"], better["fault"]) == (True, None)


async def test_better_settings_that_come_without_a_command_bring_up_a_charger_that_is_down(
    tmp_path: Path,
) -> None:
    async with hosting(tmp_path) as (_, link, _, csms):
        await link.give(desired("dep-1", csms.url, connectors=0))
        refused = await link.settled("dep-1", 1)
        spec = desired("dep-1", csms.url, revision=2)["spec"]
        await link.sessions[-1].send("specs", specs=[{"charger": "dep-1", "spec": spec}])
        await csms.accepted(1)
        await wait_until_async(lambda: link.observed("dep-1")["running"])

    assert not refused["running"]
    assert link.observed("dep-1")["fault"] is None


async def test_a_charger_without_room_starts_when_another_has_ended(tmp_path: Path) -> None:
    async with hosting(tmp_path, HOST_CAPACITY="2") as (_, link, _, csms):
        await link.give(*(desired(f"dep-{number}", csms.url) for number in range(3)))
        without_room = await link.settled("dep-2", 1)

        await link.give(desired("dep-0", csms.url, 2, is_on=False))
        await wait_until_async(lambda: link.observed("dep-2")["running"])

    assert without_room["running"] is False
    assert "room for 2 chargers" in without_room["fault"]


async def test_each_charger_without_room_gets_the_room_of_one_that_has_ended(tmp_path: Path) -> None:
    """Also when one that waited longer was started anew meanwhile, and runs by now."""
    async with hosting(tmp_path, HOST_CAPACITY="2") as (_, link, _, csms):
        await link.give(*(desired(f"dep-{number}", csms.url) for number in range(3)))
        await link.settled("dep-2", 1)
        await link.give(desired("dep-2", csms.url, 2))
        await link.settled("dep-2", 2)
        await link.give(desired("dep-3", csms.url))
        await link.settled("dep-3", 1)

        await link.give(desired("dep-0", csms.url, 2, is_on=False))
        await wait_until_async(lambda: link.observed("dep-2")["running"])
        await link.give(desired("dep-1", csms.url, 2, is_on=False))
        await wait_until_async(lambda: link.observed("dep-3")["running"])


async def test_a_running_charger_follows_a_newer_specification(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url))
        await csms.accepted()
        boot = (await link.settled("dep-1", 1))["boot"]

        await link.give(desired("dep-1", csms.url, 2, revision=2, ev_energy_wh=5000))
        await wait_until_async(lambda: session.state("dep-1").get("spec", {}).get("revision") == 2)

    assert link.observed("dep-1")["boot"] == boot
    assert session.state("dep-1")["spec"] == {"revision": 2, "error": None}
    assert len(csms.links) == 1


async def test_a_start_begins_with_the_newest_specification_however_it_came(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url))
        await csms.accepted()
        newer = desired("dep-1", csms.url, revision=3, vendor_name="Newer")
        await session.send("specs", specs=[{"charger": "dep-1", "spec": newer["spec"]}])
        await csms.accepted(2)
        older = desired("dep-1", csms.url, 2, restart_generation=2, revision=2, vendor_name="Older")

        await link.give(older)
        await link.settled("dep-1", 2)
        third = await csms.accepted(3)

    assert third.all("BootNotification")[0]["charge_point_vendor"] == "Newer"


async def test_a_charger_that_ran_here_knows_more_than_the_link(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url, ev_unplug_s="never"))
        await csms.accepted()
        await link.give(desired("dep-1", csms.url, 2, is_on=False))
        await link.settled("dep-1", 2)
        stale = session.all("memories")[-1]["memory"]
        assert stale["connectors"][0]["ev"] is None
        await link.give(desired("dep-1", csms.url, 3))
        await csms.accepted(2)
        await session.act(1, "plug_connector", "dep-1")
        await session.result(1)

        await link.give(desired("dep-1", csms.url, 4, restart_generation=4, memory=stale))
        await link.settled("dep-1", 4)
        await csms.accepted(3)
        await wait_until_async(lambda: session.state("dep-1")["connectors"][0]["plugged"])


async def test_a_charger_begins_with_the_memory_of_the_link(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url, ev_unplug_s="never"))
        await csms.accepted()
        await session.act(1, "plug_connector", "dep-1")
        await session.result(1)
        await link.give(desired("dep-1", csms.url, 2, is_on=False, leaving=True))
        await link.settled("dep-1", 2)
        memory = session.all("memories")[-1]["memory"]

        await link.give(desired("dep-1", csms.url, 3, memory=memory))
        await csms.accepted(2)
        await session.act(2, "get_ev_state", "dep-1", connector_id=1)

        assert (await session.result(2))["status"] == "applied"
        await wait_until_async(lambda: session.state("dep-1")["connectors"][0]["plugged"])


class Registry:
    """The link as the keeper knows it. No identity is ever there twice."""

    def __init__(self) -> None:
        self.running: dict[str, Hosted] = {}
        self.boots: list[tuple[str, str]] = []

    def add(self, hosted: Hosted) -> None:
        assert hosted.id not in self.running
        self.running[hosted.id] = hosted
        self.boots.append((hosted.id, hosted.boot))

    def retire(self, hosted: Hosted) -> None:
        assert self.running.pop(hosted.id) is hosted

    remove = retire

    def prompt(self) -> None:
        """Nobody waits."""


def entries_of(changes: list[str]) -> list[Frame]:
    """One charger's changes in the order of their generations: on, off, restart, another specification."""
    entries, restart_generation, is_on, revision = [], 0, True, 1
    for generation, change in enumerate(changes, start=1):
        is_on = change != "off" if change in ("on", "off") else is_on
        restart_generation = generation if change == "restart" else restart_generation
        revision += change == "spec"
        entries.append(
            desired(
                "dep-1",
                NOWHERE,
                generation,
                is_on=is_on,
                restart_generation=restart_generation,
                revision=revision,
                retry_wait_s=60,
                retry_max_s=100,
                ev_energy_wh=1000 + revision,
            )
        )
    return entries


CHANGES = st.lists(st.sampled_from(["on", "off", "restart", "spec"]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(changes=CHANGES, seed=st.integers(0, 10_000), pauses=st.booleans())
def test_whatever_comes_twice_or_out_of_order_the_newest_generation_wins(
    changes: list[str], seed: int, pauses: bool
) -> None:
    entries = entries_of(changes)
    shuffled = entries * 2
    random.Random(seed).shuffle(shuffled)
    newest = entries[-1]
    registry = Registry()

    async def run() -> Frame:
        keeper = Keeper({}, 10, lambda *_: EventLog(lambda _: None), registry)
        said: dict[str, Frame] = {}
        for entry in shuffled:
            keeper.take(entry)
            await asyncio.sleep(0.002 if pauses else 0)
            said |= {each["charger"]: each for each in keeper.take_observed()}

        def is_settled() -> bool:
            said.update({each["charger"]: each for each in keeper.take_observed()})
            return "dep-1" in said and bool(said["dep-1"]["generation"] == newest["generation"])

        await wait_until_async(is_settled)
        keeper.take(newest)
        await asyncio.sleep(0.01)
        assert bool(registry.running) == bool(newest["desired_count"])
        said |= {each["charger"]: each for each in keeper.take_observed()}
        await keeper.close(1)
        return said["dep-1"]

    said = asyncio.run(run())

    is_on = newest["desired_count"] == 1
    assert (said["running"], said["fault"]) == (is_on, None)
    assert not is_on or said["restart_generation"] == newest["restart_generation"]
    assert len(registry.boots) <= sum(each in ("off", "restart") for each in changes) + 1
    assert registry.running == {}
