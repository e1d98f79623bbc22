"""Organizations take turns at a quota, and nothing waits for ever: any arrivals, on a clock of the test's own."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.ecs import turns
from worker.ecs.turns import MAX_LEAD_TURNS, OBSERVER, Caller, LocalTurns, Priority, Quota, SharedTurns, Turn

RATE, BURST = 5.0, 50.0
GROUP = "model"
QUOTA = Quota(RATE, BURST, ())
LATE_S = 2.0  # a caller that must come back does so with the next sweep


@dataclass
class Model:
    """Callers that come back when they are expected, a little late, until they are served."""

    now: float = 0.0
    served: list[tuple[float, Caller]] = field(default_factory=list)
    expected: dict[Caller, list[float]] = field(
        default_factory=dict
    )  #: when each was to be served, by every answer
    _events: list[tuple[float, int, Caller]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.turns = LocalTurns(clock=lambda: self.now)

    def arrive(self, at: float, organization: str, priority: Priority, how_many: int = 1) -> list[Caller]:
        callers = [Caller(f"dep-{next(self._numbers)}", organization, priority) for _ in range(how_many)]
        for caller in callers:
            self._come(at, caller)
        return callers

    def run(self, until: float = 2_000) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, caller = heapq.heappop(self._events)
            turn = self.turns.take(GROUP, QUOTA, caller)
            self.expected.setdefault(caller, []).append(self.now + turn.wait_s)
            if turn.granted:
                self.served.append((self.now + turn.wait_s, caller))
            else:
                expected_at = self.now + turn.wait_s
                self._come(expected_at + (-expected_at % LATE_S), caller)

    def waited_s(self, caller: Caller, since: float) -> float:
        return next(at for at, one in self.served if one == caller) - since

    def _come(self, at: float, caller: Caller) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), caller))


ARRIVALS = st.lists(
    st.tuples(
        st.floats(0, 60), st.sampled_from("abcd"), st.sampled_from(list(Priority)), st.integers(1, 120)
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=20, deadline=None)
@given(ARRIVALS)
def test_the_rate_is_never_exceeded_and_everybody_is_served(
    arrivals: Sequence[tuple[float, str, Priority, int]],
) -> None:
    model = Model()
    for arrival in arrivals:
        model.arrive(*arrival)

    model.run()

    times = sorted(at for at, _ in model.served)
    assert len(times) == sum(how_many for *_, how_many in arrivals)
    for first in range(len(times)):
        for last in range(first, len(times), 20):
            assert last - first + 1 <= BURST + RATE * (times[last] - times[first]) + 1


@settings(max_examples=20, deadline=None)
@given(ARRIVALS, st.integers(1, 30), st.sampled_from(list(Priority)))
def test_no_organization_waits_longer_than_its_share_and_a_turn(
    arrivals: Sequence[tuple[float, str, Priority, int]], how_many: int, priority: Priority
) -> None:
    """Whatever the others request. Each of them may be MAX_LEAD_TURNS ahead, and the reserve is left unused."""
    model = Model()
    for arrival in arrivals:
        model.arrive(*arrival)
    mine = model.arrive(70, "mine", priority, how_many)

    model.run()

    organizations = len({organization for _, organization, *_ in arrivals}) + 1
    share_s = organizations * (how_many + 1) / RATE
    slack_s = (organizations - 1) * MAX_LEAD_TURNS / RATE + turns.RESERVED_SHARE * BURST / RATE + 2 * LATE_S
    assert max(model.waited_s(caller, since=70) for caller in mine) <= share_s + slack_s


def test_upkeep_comes_through_while_commands_of_its_organization_keep_coming() -> None:
    """Starts at the full rate, for ever: the first repair is made within a minute."""
    model = Model()
    [repair, *_] = model.arrive(20, "org", Priority.UPKEEP, 10)
    [removal, *_] = model.arrive(20, "org", Priority.REMOVAL, 10)
    for number in range(1000):
        model.arrive(number / RATE, "org", Priority.LIFECYCLE)
    model.arrive(0, "org", Priority.LIFECYCLE, 100)

    model.run(until=150)

    assert model.waited_s(removal, since=20) < 60
    assert model.waited_s(repair, since=20) < 60


def test_observing_goes_on_while_commands_keep_coming() -> None:
    """Without it no command of any organization is seen to succeed."""
    model = Model()
    for number in range(1000):
        model.arrive(number / RATE / 2, "org", Priority.LIFECYCLE)
    model.run(until=30)

    observed = 0
    for second in range(31, 91):
        model.run(until=second)
        model.now = second
        observed += model.turns.take(GROUP, QUOTA, OBSERVER).granted

    assert observed >= 60 * RATE / 10 - 5
    times = [at for at, _ in model.served if 30 < at < 90]
    assert len(times) + observed <= RATE * 62


def test_starts_beside_the_removals_and_creates_of_everybody_are_served_at_once() -> None:
    model = Model()
    for organization in ("org", "other"):
        model.arrive(0, organization, Priority.REMOVAL, 100)
        model.arrive(0, organization, Priority.PROVISIONING, 100)
    starts = model.arrive(30, "org", Priority.LIFECYCLE, 10)

    model.run()

    assert max(model.waited_s(caller, since=30) for caller in starts) < 1


def test_the_thousand_commands_of_a_job_hold_up_no_single_command_of_anybody() -> None:
    model = Model()
    of_job = model.arrive(0, "org", Priority.JOB, 1000)
    single = model.arrive(30, "org", Priority.LIFECYCLE, 5)
    create = model.arrive(60, "org", Priority.PROVISIONING, 5)
    of_others = model.arrive(90, "other", Priority.LIFECYCLE, 5)

    model.run()

    assert max(model.waited_s(caller, since=30) for caller in single) < 1
    assert max(model.waited_s(caller, since=60) for caller in create) < 10
    assert max(model.waited_s(caller, since=90) for caller in of_others) < 3
    assert max(model.waited_s(caller, since=0) for caller in of_job) == pytest.approx(1000 / RATE, rel=0.1)


def test_the_expected_time_of_a_waiting_call_holds() -> None:
    """Of 400 creates of two organizations each is served within two periods of the sweep after the time it was given."""
    model = Model()
    callers = [
        *model.arrive(0, "one", Priority.PROVISIONING, 200),
        *model.arrive(1, "two", Priority.PROVISIONING, 200),
    ]

    model.run()

    served = {caller: at for at, caller in model.served}
    assert all(len(model.expected[caller]) <= 6 for caller in callers)
    assert all(served[caller] <= model.expected[caller][-1] + 2 * LATE_S for caller in callers)
    first_expected = [model.expected[caller][0] for caller in callers if caller.organization_id == "two"]
    assert max(first_expected) == pytest.approx(max(served.values()), rel=0.25)


def test_organizations_that_wait_are_served_by_turns() -> None:
    model = Model()
    for number in range(4):
        model.arrive(0, f"org-{number}", Priority.PROVISIONING, 100 if number == 0 else 40)

    model.run()

    in_the_jam = [caller.organization_id for _, caller in model.served][40:120]
    assert all(15 <= times <= 25 for times in Counter(in_the_jam).values())


# In Redis and in a process.

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3, 20.0]),  #: seconds since the step before
        st.integers(0, 40),
        st.sampled_from(list(Priority)),
    ),
    min_size=20,
    max_size=150,
)


@pytest.fixture(scope="module")
def shared(redis_url: str) -> SharedTurns:
    """The script, with a clock of the test's own in place of Redis's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "SCRIPT", turns.SCRIPT.replace("redis.call('TIME')", "{ARGV[16], 0}"))
        return SharedTurns(redis_url)


def take_at(now: float, shared: SharedTurns, quota: Quota, caller: Caller) -> Turn:
    run = shared._take
    shared._take = lambda keys, args: run(keys=keys, args=[*args, now])  # type: ignore[assignment]
    try:
        turn, _ = shared.take(GROUP, quota, caller)
    finally:
        shared._take = run
    return turn


def delete_keys(redis_url: str, name: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"chargehand:ecs:{{{GROUP}}}:{name}"):
            client.delete(key)


def given_a_crowd(shared: SharedTurns, redis_url: str, now: float) -> list[Caller]:
    """More callers than the burst has turns for, in two organizations."""
    delete_keys(redis_url, "*")
    callers = [Caller(f"dep-{number}", "ab"[number % 2], Priority.PROVISIONING) for number in range(150)]
    return [caller for caller in callers if not take_at(now, shared, QUOTA, caller).granted]


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_redis_and_a_single_process_give_the_same_turns(
    shared: SharedTurns, redis_url: str, steps: Sequence[tuple[float, int, Priority]]
) -> None:
    quota = Quota(2.0, 5.0, (), urgent=Priority.LIFECYCLE)
    now = 1000.0
    local = LocalTurns(clock=lambda: now)
    delete_keys(redis_url, "*")

    for after_s, number, priority in steps:
        now += after_s
        caller = Caller(f"dep-{number}", "abc"[number % 3], priority) if number else OBSERVER
        in_redis = take_at(now, shared, quota, caller)
        here = local.take(GROUP, quota, caller)
        assert in_redis.granted == here.granted
        assert in_redis.wait_s == pytest.approx(here.wait_s, abs=1e-4)


@pytest.mark.parametrize("lost", ["due", "turns", "turns:a", "ends", "places", "urgent", "bucket", "*"])
def test_whatever_redis_loses_all_waiting_callers_are_served(
    shared: SharedTurns, redis_url: str, lost: str
) -> None:
    """Redis was flushed, or was full and evicted keys with a time to live."""
    now = 1000.0
    waiting = given_a_crowd(shared, redis_url, now)
    assert len(waiting) > BURST

    delete_keys(redis_url, lost)

    while waiting and now < 1300:
        now += 1
        waiting = [caller for caller in waiting if not take_at(now, shared, QUOTA, caller).granted]
    assert not waiting


def test_a_clock_that_is_put_back_leaves_nobody_behind_abandoned_callers(
    shared: SharedTurns, redis_url: str
) -> None:
    assert len(given_a_crowd(shared, redis_url, 100_000.0)) > BURST

    later = [
        take_at(96_400.0 + second, shared, QUOTA, Caller("dep-new", "c", Priority.PROVISIONING))
        for second in range(60)
    ]

    assert [turn.granted for turn in later[2:]] == [True] * 58


def test_a_more_urgent_command_moves_a_waiting_charger_up() -> None:
    model = Model()
    model.arrive(0, "org", Priority.PROVISIONING, 200)
    model.run(until=0)
    expected_s = model.turns.take(GROUP, QUOTA, Caller("dep-150", "org", Priority.PROVISIONING)).wait_s

    moved = model.turns.take(GROUP, QUOTA, Caller("dep-150", "org", Priority.LIFECYCLE))

    assert expected_s > 20
    assert moved.granted
