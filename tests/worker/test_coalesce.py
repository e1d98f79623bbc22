"""One charger takes one thread of a process, and every hint about it is followed by a look at its row."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.embedded.waiting import wait_until
from worker.reconcile.coalesce import MOST, Flights

OVERTAKEN_AFTER_S = 0.3


class Converge:
    """Stands in for the real one, which must be stopped in the middle of its call: it reads, then it calls."""

    def __init__(self) -> None:
        self.wish = 0
        self.told: list[int] = []  #: to ECS
        self.calls = 0
        self.now = 0
        self.most = 0
        self.hangs = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        wish = self.wish
        with self._lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self.hangs.wait(30)
        with self._lock:
            self.now -= 1
            self.told.append(wish)


def test_a_hint_during_the_call_costs_no_thread_and_brings_another_look() -> None:
    flights, converge = Flights(), Converge()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flights.run, "dep-1", converge)
        wait_until(lambda: converge.now == 1)
        converge.wish = 1

        for _ in range(5):
            flights.run("dep-1", converge)  # returns at once
        converge.hangs.set()
        first.result(10)

    assert converge.told == [0, 1]


def test_other_chargers_do_not_wait() -> None:
    flights, converge, other = Flights(), Converge(), Converge()
    other.hangs.set()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flights.run, "dep-1", converge)
        wait_until(lambda: converge.now == 1)

        flights.run("dep-2", other)

        assert other.told == [0]
        converge.hangs.set()
        first.result(10)


def test_a_call_that_hangs_is_overtaken_but_not_by_everybody() -> None:
    flights, converge = Flights(overtaken_after_s=OVERTAKEN_AFTER_S), Converge()
    with ThreadPoolExecutor(8) as pool:
        rounds = [pool.submit(flights.run, "dep-1", converge)]
        wait_until(lambda: converge.now == 1)
        for _ in range(MOST + 2):
            threading.Event().wait(OVERTAKEN_AFTER_S + 0.1)
            converge.wish += 1
            rounds.append(pool.submit(flights.run, "dep-1", converge))

        wait_until(lambda: sum(one.done() for one in rounds) == len(rounds) - MOST)
        assert converge.most == MOST
        converge.hangs.set()
        for one in rounds:
            one.result(10)

    assert converge.wish in converge.told


def test_an_error_ends_the_flight_and_the_next_hint_begins_another() -> None:
    flights, converge = Flights(), Converge()
    converge.hangs.set()

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        flights.run("dep-1", fail)
    flights.run("dep-1", converge)

    assert converge.told == [0]


def test_no_hint_is_forgotten_whenever_it_comes() -> None:
    """Many threads ask for more and hint at it; whoever looks last sees the newest wish."""
    flights = Flights()
    wishes, seen = [0], [0]
    lock = threading.Lock()

    def look() -> None:
        with lock:
            wish = wishes[0]
        seen[0] = max(seen[0], wish)

    def ask_and_hint() -> None:
        for _ in range(500):
            with lock:
                wishes[0] += 1
            flights.run("dep-1", look)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(ask_and_hint) for _ in range(4)]:
            each.result(60)

    assert seen[0] == wishes[0] == 2_000
