"""The watch over a host's process: admission, garbage, the watchdog and its settings."""

import asyncio
import gc
import resource
import time
from pathlib import Path

import pytest

from simulator.host import watchdog
from simulator.host.admission import COUNTED_S, HANDSHAKES, STARTS_AT_ONCE, STARTS_PER_S, Handshakes, new_pace
from simulator.host.garbage import EVERY_S, LONGEST_S, QUIET_S, WAVE, Garbage, collect
from simulator.host.settings import OWN_DESCRIPTORS, read_host_settings, room_for
from simulator.host.usage import Usage, memory_bytes, memory_limit_bytes
from simulator.host.watchdog import HOPELESS_S, STANDS_S, Watchdog
from simulator.settings import BadSettings
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.waiting import wait_until

ENVIRON = {
    "HOST_ID": "host-1",
    "CHARGER_CONTROL_URL": "ws://127.0.0.1:1",
    "CHARGER_CONTROL_TOKEN": "first-token",
    "CHARGER_STATE_FILE": "/state",
    "CHARGER_HTTP_PORT": "1",
    "CHARGER_WS_URL_DENY": "10.0.0.0/8",
}


def test_no_more_handshakes_than_50_of_the_last_second_are_under_way() -> None:
    began_s: list[float] = []

    async def connect(handshakes: Handshakes, takes_s: float) -> None:
        async with handshakes:
            began_s.append(asyncio.get_running_loop().time())
            await asyncio.sleep(takes_s)

    async def run() -> int:
        handshakes = Handshakes()
        silent = [connect(handshakes, 10) for _ in range(2 * HANDSHAKES)]
        await asyncio.gather(*silent, *(connect(handshakes, 0.1) for _ in range(HANDSHAKES)))
        return handshakes.attempts

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        attempts = runner.run(run())

    assert attempts == 3 * HANDSHAKES
    assert [round(at_s / COUNTED_S) for at_s in began_s] == [
        0,
    ] * HANDSHAKES + [1] * HANDSHAKES + [2] * HANDSHAKES


def test_starts_are_spread() -> None:
    pace = new_pace()

    waits = [pace.take() for _ in range(STARTS_AT_ONCE + int(STARTS_PER_S))]

    assert waits[:STARTS_AT_ONCE] == [0] * STARTS_AT_ONCE
    assert waits[-1] == pytest.approx(1.0, abs=0.2)


def test_garbage_is_collected_after_a_wave_and_rarely_without() -> None:
    garbage = Garbage()
    changes = 0

    assert not any(garbage.is_due(changes) for _ in range(EVERY_S - 1))
    assert garbage.is_due(changes)
    changes += WAVE
    assert [garbage.is_due(changes) for _ in range(QUIET_S + 2)] == [False] * QUIET_S + [True, False]
    due = [garbage.is_due(changes + second * WAVE) for second in range(1, LONGEST_S + 1)]
    assert sum(due) == 1


def test_what_was_frozen_is_collected_when_it_is_not_used_any_more() -> None:
    class Cycle:
        alive = 0

        def __init__(self) -> None:
            Cycle.alive += 1
            self.itself = self

        def __del__(self) -> None:
            Cycle.alive -= 1

    cycle = Cycle()
    collect()
    try:
        assert (Cycle.alive, gc.get_freeze_count() > 0) == (1, True)
        del cycle
        collect()
        assert Cycle.alive == 0
    finally:
        gc.unfreeze()


def test_a_loop_that_stands_is_reported_with_its_stack_and_then_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "TICK_S", 0.06)
    said: list[str] = []
    ended: list[bool] = []

    async def stand() -> None:
        watching = asyncio.create_task(dog.run())
        await asyncio.sleep(0.5)
        assert said == []
        wait_until(lambda: ended)
        await asyncio.sleep(0.1)
        watching.cancel()

    dog = Watchdog(said.append, lambda: ended.append(True), lambda: None)
    asyncio.run(stand())

    stack, end = said
    assert f"stood for {STANDS_S} s" in stack
    assert "wait_until" in stack
    assert f"stood for {HOPELESS_S} s" in end
    assert dog.lag_ms > HOPELESS_S * 60 * 0.5


def test_usage_is_measured() -> None:
    usage = Usage()
    until_s = time.process_time() + 0.05
    while time.process_time() < until_s:
        pass

    assert usage.take_cpu_percent() > 5
    assert memory_bytes() > 10_000_000


@pytest.mark.parametrize(
    ("content", "of_task", "limit"),
    [
        ("536870912\n", None, 536_870_912),
        ("536870912\n", 400, 400),
        ("max\n", 400, 400),
        ("9223372036854771712\n", None, None),  # of cgroup v1 without a limit
        (None, None, None),
    ],
)
def test_the_memory_limit_is_the_least_that_anybody_says(
    content: str | None, of_task: int | None, limit: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "memory.max"
    if content is not None:
        file.write_text(content)

    assert memory_limit_bytes(of_task, [file]) == limit


def test_chargers_of_a_host_have_no_file_and_no_port_of_their_own() -> None:
    settings = read_host_settings(ENVIRON)

    assert (settings.control.process_id, settings.capacity) == ("host-1", 1000)
    assert settings.environ.get("CHARGER_WS_URL_DENY") == "10.0.0.0/8"
    assert not settings.environ.keys() & {"CHARGER_STATE_FILE", "CHARGER_HTTP_PORT"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"HOST_ID": ""}, "HOST_ID is missing"),
        ({"HOST_CAPACITY": "5001"}, "from 1 to 5000"),
        ({"HOST_MEMORY_MIB": "half"}, "HOST_MEMORY_MIB must be"),
        ({"HOST_CAPACITY": "0"}, "from 1 to 5000"),
        ({"CHARGER_CONTROL_URL": ""}, "CHARGER_CONTROL_URL is missing"),
    ],
)
def test_settings_that_are_wrong_are_refused(change: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        read_host_settings(ENVIRON | change)


def test_a_host_has_room_for_what_the_limit_of_open_files_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(100, 600)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))

    assert room_for(1000) == 600 - OWN_DESCRIPTORS
    assert limits[-1] == (600, 600)
    assert room_for(20) == 20
