"""Waiting: what 500 clients, of which half wait for their CSMS to accept a charger, cost the others."""

import selectors
import socket
from collections.abc import Sequence
from itertools import cycle
from statistics import median
from time import sleep
from urllib.request import urlopen

from bench.fleet import charger_id, insert_chargers
from bench.load import BadAnswer, Load, drive, post
from bench.report import Budget, Report, Table
from bench.servers import api, running_process, running_stores, token
from embedded.ports import HOST, free_port
from shared.database.engine import make_engine

WAITING = 500
WAIT_S = 30
CALLERS = 50
CHARGERS = WAITING + 10_000
ROUNDS = 2
ROUND_S = 10.0
WARM_UP_S = 3.0


def measure() -> Report:
    """No worker runs, so nothing that is waited for ends before its time is up."""
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
            drive(port, calls, seconds=WARM_UP_S, status=202, connections=CALLERS)
            for _ in range(ROUNDS):
                stores.empty_queues()
                idle.append(drive(port, calls, seconds=ROUND_S, status=202, connections=CALLERS))
                clients = [_send(port, request) for request in waits]
                _until_all_wait(port)
                waiting.append(drive(port, calls, seconds=ROUND_S, status=202, connections=CALLERS))
                _check_that_none_is_answered(clients)
                _receive_all(clients)
    return _report(idle, waiting)


def _send(port: int, request: bytes) -> socket.socket:
    client = socket.create_connection((HOST, port))
    client.sendall(request)
    return client


def _until_all_wait(port: int) -> None:
    """Their arrival is over: from here on they only wait."""
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
            f"{median(load.per_s for load in loads):,.0f}",
            f"{median(load.p50_ms for load in loads):.1f}",
            f"{median(load.p99_ms for load in loads):.1f}",
        )
        for name, loads in (("nobody waits", idle), (f"{WAITING} wait", waiting))
    ]
    slower = median(one.p99_ms / other.p99_ms for one, other in zip(waiting, idle, strict=True))
    return Report(
        tables=[Table((f"{CALLERS} call while", "requests/s", "p50 ms", "p99 ms"), rows)],
        budgets=[
            Budget("p99 while others wait, times that while nobody does", slower, at_most=3),
        ],
    )
