"""Whatever breaks, no action is lost in silence, none is applied twice, and none reaches a later boot of its charger."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from sqlalchemy import make_url

from embedded.ports import free_port
from embedded.process import Program, spawn
from shared.auth.control_tokens import ControlTokens
from shared.database.engine import Sessions, make_engine
from shared.fleet.control import HINTS
from tests.support.control_fleet import ControlFleet
from tests.support.control_link import CONTROL_SECRET, ControlRows, control_url, link_program
from tests.support.environment import environment
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

CHARGERS = 12
FINAL = ("applied", "rejected", "expired", "failed")


@dataclass
class LinkProcess:
    """A link as a process of its own, which can be killed."""

    program: Program
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = spawn(self.program, self.log)
        wait_until(self.program.is_ready, 30, "the link is ready")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)
        self.process.wait(10)


@dataclass
class FaultRig:
    """Two links, and proxies in front of their database and their Redis."""

    links: list[LinkProcess]
    rows: ControlRows
    postgres: TcpProxy
    redis: TcpProxy
    redis_url: str

    def hint(self) -> None:
        client = redis.Redis.from_url(self.redis_url)
        client.publish(HINTS, "")
        client.close()


@pytest.fixture(scope="module")
def rig(
    new_database: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultRig]:
    with ExitStack() as stack:
        database_url = new_database()
        engine = make_engine(database_url)
        stack.callback(engine.dispose)
        postgres, broker = (proxy_of(url, stack) for url in (database_url, redis_url))
        variables = environment(through(database_url, postgres), through(redis_url, broker))
        folder = tmp_path_factory.mktemp("links")
        links = []
        for _ in range(2):
            port = free_port()
            links.append(LinkProcess(link_program(variables, port), folder / f"{port}.log", port))
        stack.callback(stop, links)
        for link in links:
            link.start()
        yield FaultRig(links, ControlRows(Sessions(engine)), postgres, broker, redis_url)


def proxy_of(url: str, stack: ExitStack) -> TcpProxy:
    proxy = TcpProxy(make_url(url).port or 6379)
    stack.callback(proxy.close)
    return proxy


def through(url: str, proxy: TcpProxy) -> str:
    return make_url(url).set(port=proxy.port, host="127.0.0.1").render_as_string(hide_password=False)


def stop(links: list[LinkProcess]) -> None:
    for link in links:
        link.kill(signal.SIGTERM)


Fault = Callable[[FaultRig, ControlFleet], None]


def kill_a_link(rig: FaultRig, _fleet: ControlFleet) -> None:
    for link in rig.links:
        link.kill()
        time.sleep(0.2)
        link.start()


def cut_the_database(rig: FaultRig, _fleet: ControlFleet) -> None:
    rig.postgres.cut()
    time.sleep(2)
    rig.postgres.heal()


def freeze_the_database(rig: FaultRig, _fleet: ControlFleet) -> None:
    rig.postgres.freeze()
    time.sleep(3)
    rig.postgres.heal()


def freeze_redis(rig: FaultRig, _fleet: ControlFleet) -> None:
    rig.redis.freeze()
    time.sleep(1)
    rig.redis.cut()
    time.sleep(1)
    rig.redis.heal()


def double_hints(rig: FaultRig, _fleet: ControlFleet) -> None:
    for _ in range(300):
        rig.hint()


def break_connections(_rig: FaultRig, fleet: ControlFleet) -> None:
    for _ in range(10):
        fleet.break_all()
        time.sleep(0.2)


FAULTS: list[Fault] = [
    kill_a_link,
    cut_the_database,
    freeze_the_database,
    freeze_redis,
    double_hints,
    break_connections,
]


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
