"""Waiting: what 500 clients that use ?wait cost the others. Half of them wait for a CSMS to accept the charger."""

import selectors
import socket
from collections.abc import Sequence
from itertools import cycle
from statistics import median
from time import sleep
from urllib.request import urlopen

from bench.report import Budget, Report, Table
from bench.support.fleet import charger_id, insert_chargers
from bench.support.load import BadAnswer, Load, add_up, drive, drive_at_rate, post
from bench.support.servers import api, running_process, running_stores, token
from embedded.ports import HOST, free_port
from shared.database.engine import make_engine

WAITING = 500
WAIT_S = 24  # longer than the arrival of all that wait, and a round
CALLERS = 50
CHARGERS = WAITING + 10_000
ROUNDS = 3
ROUND_S = 6.0
WARM_UP_S = 3.0


def measure() -> Report:
    """No worker runs, so every wait lasts until its time is up."""
    idle, waiting = [], []
    with running_stores() as stores:
        url = stores.new_database("waiting")
        engine = make_engine(url)
        insert_chargers(engine, CHARGERS)
        engine.dispose()
        port = free_port()
        bearer = token()
        calls = cycle(
            post(f"/ocpp/chargers/{charger_id(number)}/{verb}", bearer)
            for verb in ("stop-charger", "start-charger")
            for number in range(WAITING + 1, CHARGERS + 1)
        )
        waits = [
            post(f"/ocpp/chargers/{charger_id(number)}/{what}", bearer)
            for number, what in zip(
                range(1, WAITING + 1),
                cycle(
                    (f"stop-charger?wait={WAIT_S}", f"start-charger?wait={WAIT_S}&until=accepted"),
                ),
                strict=False,
            )
        ]
        server = api(url, stores.redis_url, port, WAITS_PER_ORGANIZATION=str(WAITING))
        with running_process(server, stores.folder):
            full = drive(port, calls, seconds=WARM_UP_S, status=202, connections=CALLERS)
            per_s = full.per_s / 2
            for _ in range(ROUNDS):
                stores.empty_queues()
                idle.append(drive_at_rate(port, calls, per_s=per_s, seconds=ROUND_S, status=202))
                clients = [_send(port, request) for request in waits]
                _wait_until_all_wait(port)
                waiting.append(drive_at_rate(port, calls, per_s=per_s, seconds=ROUND_S, status=202))
                _check_that_none_is_answered(clients)
                _receive_all(clients)
    return _report(idle, waiting)


def _send(port: int, request: bytes) -> socket.socket:
    client = socket.create_connection((HOST, port))
    client.sendall(request)
    return client


def _wait_until_all_wait(port: int) -> None:
    """Until the API has accepted all of them and they only wait."""
    while True:
        with urlopen(f"http://{HOST}:{port}/metrics") as answer:
            if f"chargehand_waiting_clients {float(WAITING)}\n".encode() in answer.read():
                return
        sleep(0.5)


def _check_that_none_is_answered(clients: Sequence[socket.socket]) -> None:
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        early = selector.select(0)
    if early:
        raise BadAnswer(f"{len(early)} did not wait")


def _receive_all(clients: Sequence[socket.socket]) -> None:
    for client in clients:
        client.settimeout(WAIT_S + 10)
        answer = client.recv(65_536)
        client.close()
        if not answer.startswith(b"HTTP/1.1 202 "):
            raise BadAnswer(answer[:500].decode(errors="replace"))


def _report(idle: Sequence[Load], waiting: Sequence[Load]) -> Report:
    rows = [
        (
            name,
            f"{load.per_s:,.0f}",
            f"{load.p50_ms:.1f}",
            f"{load.p99_ms:.1f}",
            f"{max(load.latencies_ms):.0f}",
            f"{load.requests:,}",
        )
        for name, load in (("nobody waits", add_up(idle)), (f"{WAITING} wait", add_up(waiting)))
    ]
    # The median over the rounds, so that a slow minute of the machine affects both sides.
    added_ms = median(one.p99_ms - other.p99_ms for one, other in zip(waiting, idle, strict=True))
    return Report(
        tables=[
            Table(("open loop, while", "commands/s", "p50 ms", "p99 ms", "slowest ms", "requests"), rows)
        ],
        budgets=[
            Budget(
                f"ms that {WAITING} waits add to the p99",
                added_ms,
                at_most=50,
                reason="the API reads the states of all waits every 100 ms, and a request may meet one such read; at 50 ms it "
                "would take half of the API",
            ),
        ],
    )
