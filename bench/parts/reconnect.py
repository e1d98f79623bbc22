"""Reconnect: 200 charger processes boot, lose their CSMS for 90 s, and come back.

Meanwhile a listener takes the CSMS's port, counts the connection attempts and closes each: a CSMS that is down behind
a load balancer that is up.
"""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from bench.report import Budget, Report, Table
from bench.support.servers import running_process
from bench.support.stack import Stack, create_charger, running_stack
from embedded.ports import HOST, answers, free_port
from embedded.process import Program

CHARGERS = 200
DOWN_S = 90.0
BOOTED_WITHIN_S = 60  # after the last create
LONGEST_WAIT_S = 60  # between two attempts of a charger: CHARGER_RETRY_MAX_S, docs/ocpp.md
GIVE_UP_AFTER_S = 150.0
WAITS_SPREAD_S = 30  # CHARGER_RETRY_RANDOM_S


def measure() -> Report:
    """Start the fleet, kill its CSMS, and count how it comes back."""
    with (
        running_stack() as stack,
        TemporaryDirectory(prefix="chargehand-bench-", ignore_cleanup_errors=True) as name,
    ):
        return _measure(stack, Path(name))


def _measure(stack: Stack, folder: Path) -> Report:
    port = free_port()
    with running_process(_csms("csms-before", port), folder):
        _create_fleet(stack, f"ws://{HOST}:{port}/ocpp")
        created_at = datetime.now()  # noqa: DTZ005  # the CSMS's log has local time
        booted = _wait_for(folder / "logs" / "csms-before.log", "booted")
    with _closed_port(port) as attempts_at:
        sleep(DOWN_S)
    with running_process(_csms("csms-after", port), folder):
        back_at = datetime.now()  # noqa: DTZ005
        returned = _wait_for(folder / "logs" / "csms-after.log", "connected")
    return _report(booted, created_at, attempts_at, returned, back_at)


def _csms(name: str, port: int) -> Program:
    """The embedded CSMS, killed at the end of its block."""
    argv = (sys.executable, "-m", "embedded.csms", "--port", str(port))
    return Program(name, argv, is_ready=answers(f"http://{HOST}:{port}/health"), stop_within_s=0)


def _create_fleet(stack: Stack, ws_url: str) -> None:
    with stack.client("bench") as client:
        for number in range(CHARGERS):
            version = ("OCPP1.6", "OCPP2.0.1")[number % 2]
            create_charger(client, f"CP-{number:04d}", ws_url=ws_url, ocpp_version=version)


@contextmanager
def _closed_port(port: int) -> Iterator[list[float]]:
    """Accept each connection on the port and close it. Yields the times of the attempts, by the monotonic clock."""
    attempts_at: list[float] = []
    loop = asyncio.new_event_loop()

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts_at.append(monotonic())
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(refuse, HOST, port, backlog=512))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield attempts_at
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _wait_for(log: Path, event: str) -> dict[str, datetime]:
    """The time of each charger's first such event in the CSMS's log, of all that appear within GIVE_UP_AFTER_S."""
    deadline = monotonic() + GIVE_UP_AFTER_S
    seen: dict[str, datetime] = {}
    while len(seen) < CHARGERS and monotonic() < deadline:
        sleep(0.5)
        for words in map(str.split, log.read_text(encoding="utf-8").splitlines()):
            if len(words) > 3 and words[2].startswith("CP-") and words[3].rstrip(":") == event:
                at = datetime.strptime(f"{words[0]} {words[1]}", "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007
                seen.setdefault(words[2], at)
    return seen


def _report(
    booted: dict[str, datetime],
    created_at: datetime,
    attempts_at: list[float],
    returned: dict[str, datetime],
    back_at: datetime,
) -> Report:
    booted_s = (max(booted.values()) - created_at).total_seconds()
    returned_s = (max(returned.values()) - back_at).total_seconds()
    peak_back = max(Counter(at.replace(microsecond=0) for at in returned.values()).values())
    peak_down = max(Counter(map(int, attempts_at)).values())
    rows = [
        ("booted, after the last create", f"{len(booted)} of {CHARGERS}", f"{booted_s:.1f}", "", ""),
        (
            "attempts while the CSMS was down",
            "",
            f"{DOWN_S:.0f}",
            f"{len(attempts_at) / CHARGERS:.1f}",
            str(peak_down),
        ),
        ("back, after the CSMS", f"{len(returned)} of {CHARGERS}", f"{returned_s:.1f}", "", str(peak_back)),
    ]
    peak = 3 * CHARGERS // WAITS_SPREAD_S
    return Report(
        tables=[Table(("", "chargers", "seconds", "attempts per charger", "most in one second"), rows)],
        budgets=[
            Budget(
                "chargers that booted", len(booted), at_least=CHARGERS, reason="none may be lost at creation"
            ),
            Budget(
                "seconds from the last create until all had booted",
                booted_s,
                at_most=BOOTED_WITHIN_S,
                reason="200 starts of a process, 0.25 s of CPU each, take 25 s of two cores; the bound is twice that and a margin",
            ),
            Budget(
                "chargers that came back",
                len(returned),
                at_least=CHARGERS,
                reason="none may give up",
            ),
            Budget(
                "seconds from the CSMS's return until all were back",
                returned_s,
                at_most=LONGEST_WAIT_S + 5,
                reason="the longest wait between two attempts, and 5 s to connect",
            ),
            Budget(
                "most connections in one second",
                max(peak_back, peak_down),
                at_most=peak,
                reason=f"waits are spread over {WAITS_SPREAD_S} s, so {CHARGERS / WAITS_SPREAD_S:.0f} a second on average; "
                "three times that is chance, more is a herd",
            ),
        ],
    )
