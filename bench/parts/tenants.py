"""Tenants: what three organizations notice of a fourth that does its worst. Amazon's quotas as the rate budget.

The loud one sends 50 requests a second of waits and as many creates (a thousand in all), opens streams that begin with an
old backlog, and has two chargers that flood their logs. It runs in a process of its own.
"""

import multiprocessing
import shlex
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine, text

from bench.parts.removals import act, client_of, create, quiet_stack, times, token_of, wait_until_settled
from bench.report import Budget, Report, Table
from bench.support.load import get
from embedded.ports import HOST
from tests.stack import Stack

QUIET = ("north", "east", "west")
LOUD = "loud"
ROUNDS = 3
ROUND_S = 14.0  # by themselves, and as long beside the fourth
RAMP_S = 6.0  # after which the loud one has all its waits and creates under way
PAUSE_S = 0.1  # between two requests of a quiet one
COMMAND_EVERY_S = 2.0
CREATES = 1_000
BACKLOG = 20_000  # events
FRAME = '{"type":"frame","direction":"cp_to_csms","action":"Heartbeat","message":"[2,\\"1\\",\\"Heartbeat\\",{}]"}'
#: A charger called FLOOD prints 500 frames a second, any other only sleeps.
TASK = (
    f"case $CHARGER_IDENTITY in FLOOD*) while :; do for i in 1 2 3 4 5; do for j in 1 2 3 4 5 6 7 8 9 10; do "
    f"echo '{FRAME}'; done; done; sleep 0.1; done;; *) exec sleep 3600;; esac"
)
OLD_EVENT = (
    '{"status": "READY", "error": null, "desired_count": 1, "running_count": 1, "pending_count": 0, '
    '"reason": null, "reason_code": null}'
)
OLD_EVENTS = text("""
    INSERT INTO charger_events (charger_id, type, data)
    SELECT :charger_id, 'status', CAST(:data AS jsonb) FROM generate_series(1, :many)
""")


@dataclass
class Tenant:
    """What one quiet organization does, and what it saw."""

    stack: Stack
    organization: str
    charger_id: str
    latencies_ms: list[float] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    sent_at: dict[str, float] = field(default_factory=dict)  #: by command
    heard_at: dict[str, float] = field(default_factory=dict)  #: likewise, on the stream
    failures: int = 0

    def work(self, until: float) -> None:
        """Read and, now and then, stop or start."""
        paths = (
            f"/ocpp/chargers/{self.charger_id}",
            "/ocpp/chargers?limit=10",
            "/ocpp/catalog/brands",
        )
        command_at = monotonic()
        with client_of(self.stack, self.organization) as client:
            for number in count():
                began = monotonic()
                if began > until:
                    return
                if began >= command_at:
                    command_at += COMMAND_EVERY_S
                    verb = "start" if len(self.commands) % 2 else "stop"
                    answer = client.post(f"/ocpp/chargers/{self.charger_id}/{verb}-charger")
                    if answer.status_code == 202:
                        command_id = answer.json()["command_id"]
                        self.commands.append(command_id)
                        self.sent_at[command_id] = began
                else:
                    answer = client.get(paths[number % len(paths)])
                self.failures += answer.status_code >= 400
                self.latencies_ms.append(1000 * (monotonic() - began))
                sleep(PAUSE_S)

    def listen(self, until: float) -> None:
        """To the stream of its charger."""
        path = f"/ocpp/chargers/{self.charger_id}/events"
        with client_of(self.stack, self.organization) as client, client.stream("GET", path) as answer:
            for line in answer.iter_lines():
                now = monotonic()
                for command_id in list(self.sent_at.keys() - self.heard_at.keys()):
                    if command_id in line:
                        self.heard_at[command_id] = now
                if now > until:
                    return


@dataclass(frozen=True, slots=True)
class Seen:
    """By all quiet tenants together."""

    latencies_ms: Sequence[float]
    heard_s: Sequence[float]
    unheard: int
    failures: int
    reached_s: Sequence[float]

    @property
    def p99_ms(self) -> float:
        return quantiles(self.latencies_ms, n=100)[98]


def measure() -> Report:
    command = shlex.join(["sh", "-c", TASK])
    with quiet_stack(ECS_EMBEDDED_TASK_COMMAND=command, RATE_LIMIT="50/second") as (stack, engine):
        chargers = {}
        for organization in QUIET:
            with client_of(stack, organization) as client:
                chargers[organization] = create(client, f"CP-{organization}")
        with client_of(stack, LOUD) as client:
            flooders = [create(client, f"FLOOD-{number}") for number in (1, 2)]
        wait_until_settled(engine, 60)
        for flooder in flooders:  # only later
            with client_of(stack, LOUD) as client:
                act(client, flooder, "stop")
        wait_until_settled(engine, 60)
        with engine.begin() as connection:
            connection.execute(OLD_EVENTS, {"charger_id": flooders[0], "data": OLD_EVENT, "many": BACKLOG})
        alone, beside = [], []
        for turn in range(ROUNDS):
            alone.append(_watch(stack, engine, chargers, ROUND_S))
            loud = multiprocessing.get_context("spawn").Process(
                target=do_your_worst, args=(stack, flooders, f"{turn}", RAMP_S + ROUND_S), daemon=True
            )
            loud.start()
            sleep(RAMP_S)
            beside.append(_watch(stack, engine, chargers, ROUND_S))
            loud.join(10)
            loud.kill()
            with client_of(stack, LOUD) as client:
                for flooder in flooders:
                    act(client, flooder, "stop")
            sleep(2)
        with engine.connect() as connection:
            created = connection.scalar(
                text("SELECT count(*) FROM chargers WHERE organization_id = :loud"), {"loud": LOUD}
            )
    print(f"The loud tenant made {created} chargers.")
    return _report(alone, beside)


def _watch(stack: Stack, engine: Engine, chargers: dict[str, str], seconds: float) -> Seen:
    until = monotonic() + seconds
    tenants = [Tenant(stack, organization, charger_id) for organization, charger_id in chargers.items()]
    listening = [threading.Thread(target=tenant.listen, args=(until + 1,), daemon=True) for tenant in tenants]
    working = [threading.Thread(target=tenant.work, args=(until,)) for tenant in tenants]
    for thread in listening:
        thread.start()
    sleep(0.5)
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    sleep(2)
    heard = [
        tenant.heard_at[command] - tenant.sent_at[command]
        for tenant in tenants
        for command in tenant.heard_at
    ]
    commands = [command for tenant in tenants for command in tenant.commands]
    reached = [reached_s for reached_s, _ in times(engine, commands)]
    return Seen(
        [latency for tenant in tenants for latency in tenant.latencies_ms],
        heard,
        len(commands) - len(heard),
        sum(tenant.failures for tenant in tenants),
        reached,
    )


# The loud one, in its process.


def do_your_worst(stack: Stack, flooders: Sequence[str], prefix: str, seconds: float) -> None:
    until = monotonic() + seconds
    with client_of(stack, LOUD) as client:
        for flooder in flooders:
            act(client, flooder, "start")
        waiting = [create(client, f"WAIT-{prefix}-{number}") for number in range(30)]
    token = token_of(LOUD)
    port = urlsplit(stack.api_url).port or 0
    wait = get(f"/ocpp/chargers/{waiting[-1]}/status?wait=60", token)
    stream = get(f"/ocpp/chargers/{flooders[0]}/events", token)[:-2] + b"Last-Event-ID: 0\r\n\r\n"
    threads = [
        threading.Thread(target=_send, args=(port, wait, 0.02, until), daemon=True),
        threading.Thread(target=_send, args=(port, stream, 0.2, until), daemon=True),
        threading.Thread(target=_create_many, args=(stack, prefix, until), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(port: int, request: bytes, every_s: float, until: float) -> None:
    """Again and again, each on a connection of its own, of which the newest 800 stay open."""
    sockets: list[socket.socket] = []
    for _ in _beats(every_s, until):
        try:
            client = socket.create_connection((HOST, port), timeout=5)
            client.sendall(request)
        except OSError:
            continue
        sockets.append(client)
        if len(sockets) > 800:
            sockets.pop(0).close()
    for client in sockets:
        client.close()


def _create_many(stack: Stack, prefix: str, until: float) -> None:
    with client_of(stack, LOUD) as client:
        numbers = count()
        made = 0
        for _ in _beats(0.02, until):
            try:
                create(client, f"MANY-{prefix}-{next(numbers)}")
            except httpx.HTTPError:
                continue
            made += 1
            if made == CREATES:
                return


def _beats(every_s: float, until: float) -> Iterator[None]:
    at = monotonic()
    while at < until:
        sleep(max(0.0, at - monotonic()))
        yield
        at = max(at + every_s, monotonic())


def _together(rounds: Sequence[Seen]) -> Seen:
    return Seen(
        [latency for seen in rounds for latency in seen.latencies_ms],
        [heard for seen in rounds for heard in seen.heard_s],
        sum(seen.unheard for seen in rounds),
        sum(seen.failures for seen in rounds),
        [reached for seen in rounds for reached in seen.reached_s],
    )


def _report(alone_by_round: Sequence[Seen], beside_by_round: Sequence[Seen]) -> Report:
    # Ratios of rounds that ran side by side, so that a slow minute of the machine strikes both.
    slower = median(
        beside.p99_ms / alone.p99_ms for alone, beside in zip(alone_by_round, beside_by_round, strict=True)
    )
    alone, beside = _together(alone_by_round), _together(beside_by_round)
    rows = [
        (
            name,
            f"{len(seen.latencies_ms):,}",
            f"{median(seen.latencies_ms):.1f}",
            f"{seen.p99_ms:.1f}",
            f"{median(seen.heard_s):.2f}",
            f"{max(seen.heard_s):.2f}",
            f"{median(seen.reached_s):.2f}",
            f"{max(seen.reached_s):.2f}",
        )
        for name, seen in (("three by themselves", alone), ("beside the fourth", beside))
    ]
    head = (
        "",
        "requests",
        "p50 ms",
        "p99 ms",
        "on the stream, median s",
        "last",
        "command at ECS, median s",
        "last",
    )
    return Report(
        tables=[Table(head, rows)],
        budgets=[
            Budget("p99 beside the fourth, times their own alone", slower, at_most=2),
            Budget("answers of 4xx and 5xx", beside.failures, at_most=0),
            Budget("commands that their stream did not show", beside.unheard, at_most=0),
            Budget("a command on its stream, s, at the latest", max(beside.heard_s), at_most=1),
            Budget("a stop or start at ECS, s, at the latest", max(beside.reached_s), at_most=3),
        ],
    )
