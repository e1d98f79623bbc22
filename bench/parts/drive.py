"""Drive: from the POST of an action to the charger's frame at its CSMS, and what 1,000 connected chargers cost the control link.

One real charger is plugged in and out through the API, and in turns by the CSMS itself (DataTransfer), which is the shortest
way there is. The other 1,000 chargers are scripted: each is a process by itself for the link, and applies every action at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from time import monotonic

import psutil
from sqlalchemy import text

from bench.report import Budget, Report, Table
from bench.support.cpu import cpu_s, pss
from bench.support.driving import Actions, RealCharger, real_charger, scripted_chargers
from bench.support.fleet import charger_id, insert_chargers
from bench.support.load import BadAnswer, p99
from bench.support.servers import api, link, running_process, running_stores
from embedded.ports import HOST, free_port
from shared.database.engine import make_engine

SCRIPTED = 1000
REAL = charger_id(SCRIPTED + 2)  # an even number: OCPP 1.6
LOCATION = "hall-1"
PLUGS = 100  # per row of the table
LOCATION_ROUNDS = 5
APPLIED_WITHIN_S = 3
WINDOW_S = 20.0
REPORTS_PER_S = 0.2  # of a charger in a transaction, which is busy
LOCATE = text("UPDATE chargers SET location_id = :location WHERE id <= :last_id")
CONNECT = text("UPDATE chargers SET ws_url = :url WHERE id = :id")  # which the link sends to the charger

KIB, MIB = 1024, 1024 * 1024


def measure() -> Report:
    with running_stores() as stores:
        url = stores.new_database("drive")
        engine = make_engine(url)
        insert_chargers(engine, SCRIPTED + 2)
        api_port, link_port, csms_port = free_port(), free_port(), free_port()
        with engine.begin() as connection:
            connection.execute(LOCATE, {"location": LOCATION, "last_id": charger_id(SCRIPTED)})
            connection.execute(CONNECT, {"url": f"ws://{HOST}:{csms_port}", "id": REAL})
        engine.dispose()
        with (
            running_process(api(url, stores.redis_url, api_port), stores.folder),
            running_process(link(url, stores.redis_url, link_port), stores.folder) as process,
        ):
            return asyncio.run(_measure(Actions(api_port), link_port, csms_port, process))


@dataclass(frozen=True, slots=True)
class Cost:
    """What the link process used with some chargers connected."""

    bytes: int  #: proportional set size
    cpu_s: float  #: in WINDOW_S


@dataclass(frozen=True, slots=True)
class Found:
    """All figures of a run; times in ms."""

    by_csms: Sequence[float]
    alone: Sequence[float]
    among_idle: Sequence[float]
    among_busy: Sequence[float]
    location_s: Sequence[float]
    answered_ms: Sequence[float]
    link_cpu_per_action_ms: float
    before: Cost
    idle: Cost
    busy: Cost


async def _measure(actions: Actions, link_port: int, csms_port: int, process: psutil.Process) -> Report:
    async with AsyncExitStack() as stack:
        charger = await stack.enter_async_context(real_charger(REAL, link_port, csms_port, actions))
        by_csms, alone = await _in_turns(charger.plug_by_csms, charger.plug)
        before = await _cost(process)
        scripted = await stack.enter_async_context(scripted_chargers(SCRIPTED, link_port))
        idle = await _cost(process)
        among_idle = await _plug_often(charger)
        spent_s = cpu_s(process.pid)
        rounds = [await _plug_location(actions, number) for number in range(LOCATION_ROUNDS)]
        spent_s = cpu_s(process.pid) - spent_s
        scripted.report(REPORTS_PER_S)
        busy = await _cost(process)
        among_busy = await _plug_often(charger)
    location_s, answered_ms = zip(*rounds, strict=True)
    return _report(
        Found(
            by_csms,
            alone,
            among_idle,
            among_busy,
            location_s,
            answered_ms,
            1000 * spent_s / LOCATION_ROUNDS / 2 / SCRIPTED,  # plugged in and out
            before,
            idle,
            busy,
        )
    )


async def _in_turns(*ways: Callable[[bool], Awaitable[float]]) -> list[list[float]]:
    """The times of each way, of plugs and unplugs; the ways take turns, so a slow second of the machine affects all."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(PLUGS // 2):
        for way, found in zip(ways, times, strict=True):
            found += [await way(True), await way(False)]
    return times


async def _plug_often(charger: RealCharger) -> list[float]:
    (times,) = await _in_turns(charger.plug)
    return times


async def _plug_location(actions: Actions, number: int) -> tuple[float, float]:
    """Seconds from the POST until all chargers of the location have applied it, and ms until the answer without a wait."""
    at, answer = await actions.send("plug-connector", {"location_id": LOCATION}, "?wait=30")
    took_s = monotonic() - at
    applied = [one for one in answer["results"] if one["status"] == "applied"]
    if len(applied) != SCRIPTED:
        raise BadAnswer(f"round {number}: {len(applied)} of {SCRIPTED} applied: {answer['failed'][:3]}")
    at, _ = await actions.send("unplug-connector", {"location_id": LOCATION})
    answered_ms = 1000 * (monotonic() - at)
    await asyncio.sleep(2)  # until these are done too
    return took_s, answered_ms


async def _cost(process: psutil.Process) -> Cost:
    await asyncio.sleep(2)
    spent_s = cpu_s(process.pid)
    await asyncio.sleep(WINDOW_S)
    return Cost(pss(process.pid), cpu_s(process.pid) - spent_s)


def _report(found: Found) -> Report:
    idle_kib = (found.idle.bytes - found.before.bytes) / SCRIPTED / KIB
    busy_kib = (found.busy.bytes - found.before.bytes) / SCRIPTED / KIB
    reports = WINDOW_S * REPORTS_PER_S * SCRIPTED
    per_report_ms = 1000 * (found.busy.cpu_s - found.idle.cpu_s) / reports
    among_ratio = median(found.among_idle) / median(found.alone)
    return Report(
        tables=[
            Table(
                ("a plug or unplug, until its frame is at the CSMS", "actions", "p50 ms", "p99 ms"),
                [
                    _row("DataTransfer of the CSMS itself", found.by_csms),
                    _row("POST, no other charger is connected", found.alone),
                    _row(f"POST, {SCRIPTED:,} others are idle", found.among_idle),
                    _row(f"POST, {SCRIPTED:,} others report every {1 / REPORTS_PER_S:g} s", found.among_busy),
                ],
            ),
            Table(
                (f"a location of {SCRIPTED:,} chargers, by one call", "median", "worst"),
                [
                    (
                        "seconds until all have applied it",
                        f"{median(found.location_s):.2f}",
                        f"{max(found.location_s):.2f}",
                    ),
                    (
                        "ms until the answer, without a wait",
                        f"{median(found.answered_ms):.0f}",
                        f"{max(found.answered_ms):.0f}",
                    ),
                ],
            ),
            Table(
                ("link process", "memory, MiB", "KiB per charger", "CPU, % of a core"),
                [
                    ("with one charger", f"{found.before.bytes / MIB:.1f}", "", _percent(found.before)),
                    (
                        f"with {SCRIPTED:,} idle ones",
                        f"{found.idle.bytes / MIB:.1f}",
                        f"{idle_kib:.1f}",
                        _percent(found.idle),
                    ),
                    (
                        f"with {SCRIPTED:,} that report every {1 / REPORTS_PER_S:g} s",
                        f"{found.busy.bytes / MIB:.1f}",
                        f"{busy_kib:.1f}",
                        _percent(found.busy),
                    ),
                ],
            ),
            Table(
                ("CPU of the link process", "ms"),
                [
                    ("per report of a charger", f"{per_report_ms:.2f}"),
                    ("per action of a location", f"{found.link_cpu_per_action_ms:.2f}"),
                ],
            ),
        ],
        budgets=_budgets(found, among_ratio, busy_kib),
        summary=(
            f"**{median(found.alone):.0f} ms from a POST to the charger's frame at the CSMS** (p50; p99 {p99(found.alone):.0f} "
            f"ms), and {median(found.among_idle):.0f} ms with {SCRIPTED:,} more chargers connected (p99 "
            f"{p99(found.among_idle):.0f} ms). A location of {SCRIPTED:,} is plugged in within {max(found.location_s):.1f} s."
        ),
    )


def _budgets(found: Found, among_ratio: float, busy_kib: float) -> list[Budget]:
    return [
        Budget(
            f"p99 with {SCRIPTED:,} connected, ms",
            p99(found.among_idle),
            at_most=100,
            reason="people perceive 100 ms as immediate (Nielsen, Usability Engineering)",
        ),
        Budget(
            f"p50 with {SCRIPTED:,} connected, times that alone",
            among_ratio,
            at_most=1.5,
            reason="one query finds the actions of all sessions, so what an action takes does not depend on their number",
        ),
        Budget(
            f"seconds until {SCRIPTED:,} chargers of a location have applied an action",
            max(found.location_s),
            at_most=APPLIED_WITHIN_S,
            reason="a person who plugs in a whole location waits for it",
        ),
        Budget(
            "KiB of the link process per busy charger",
            busy_kib,
            at_most=100,
            reason="5,000 sessions, the default limit of a link process, then fit into 0.5 GiB",
        ),
    ]


def _row(name: str, times_ms: Sequence[float]) -> tuple[str, ...]:
    return (name, str(len(times_ms)), f"{median(times_ms):.1f}", f"{p99(times_ms):.1f}")


def _percent(cost: Cost) -> str:
    return f"{100 * cost.cpu_s / WINDOW_S:.1f}"
