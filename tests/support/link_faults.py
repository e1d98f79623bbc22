"""Two links as processes of their own, and what can break around them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import redis
from sqlalchemy import make_url

from embedded.ports import free_port
from embedded.process import Program, spawn
from shared.database.engine import Sessions, make_engine
from shared.fleet.control import HINTS
from tests.support.control_link import ControlRows, link_program
from tests.support.environment import environment
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until


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


@contextmanager
def fault_rig(database_url: str, redis_url: str, folder: Path) -> Iterator[FaultRig]:
    """Two links on the database, which must have its tables."""
    with ExitStack() as stack:
        engine = make_engine(database_url)
        stack.callback(engine.dispose)
        postgres, broker = (proxy_of(url, stack) for url in (database_url, redis_url))
        variables = environment(through(database_url, postgres), through(redis_url, broker))
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


class Fleet(Protocol):
    """Processes of chargers whose connections can be cut."""

    def break_all(self) -> None: ...


Fault = Callable[[FaultRig, Fleet], None]


def kill_a_link(rig: FaultRig, _fleet: Fleet) -> None:
    for link in rig.links:
        link.kill()
        time.sleep(0.2)
        link.start()


def cut_the_database(rig: FaultRig, _fleet: Fleet) -> None:
    rig.postgres.cut()
    time.sleep(2)
    rig.postgres.heal()


def freeze_the_database(rig: FaultRig, _fleet: Fleet) -> None:
    rig.postgres.freeze()
    time.sleep(3)
    rig.postgres.heal()


def freeze_redis(rig: FaultRig, _fleet: Fleet) -> None:
    rig.redis.freeze()
    time.sleep(1)
    rig.redis.cut()
    time.sleep(1)
    rig.redis.heal()


def double_hints(rig: FaultRig, _fleet: Fleet) -> None:
    for _ in range(300):
        rig.hint()


def break_connections(_rig: FaultRig, fleet: Fleet) -> None:
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
