"""What the parts about hosts share: a product with the control link, a CSMS that costs little, and what is known of the chargers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
from sqlalchemy import text

from bench.support.servers import running_process, running_stores
from bench.support.stack import Stack, running_stack
from embedded.ports import HOST, answers, free_port
from embedded.process import Program

STATES = text("""
    SELECT count(*) FILTER (WHERE ocpp_state = 'accepted' AND running_count = 1) AS accepted,
        count(*) FILTER (WHERE running_count = 0 AND observed_generation = generation) AS stopped,
        count(host_id) AS placed,
        count(*) AS every
    FROM chargers WHERE placement = :placement
""")


@dataclass(frozen=True, slots=True)
class Rig:
    """A running product and its CSMS."""

    stack: Stack
    csms_port: int

    def create(self, client: httpx.Client, location_id: str, count: int, placement: str) -> None:
        """Request so many chargers at once."""
        template = {
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": self.ws_url,
            "identity_prefix": f"{placement}-",
            "placement": placement,
        }
        group = {"template": template, "charger_ids": [f"{number:05}" for number in range(count)]}
        client.post(f"/ocpp/locations/{location_id}/chargers", json=[group]).raise_for_status()

    @property
    def ws_url(self) -> str:
        return f"ws://{HOST}:{self.csms_port}/ocpp"

    def count(self, state: str, placement: str = "shared") -> int:
        """The chargers that are `accepted`, `stopped` or `placed`; or `every` one, with those that are being deleted."""
        with self.stack.engine.connect() as connection:
            return int(getattr(connection.execute(STATES, {"placement": placement}).one(), state))

    def most_sessions_of_one(self) -> int:
        """The most connections that one identity has had to the CSMS at the same time."""
        counts = httpx.get(f"http://{HOST}:{self.csms_port}/", trust_env=False).json()
        return int(counts["most_of_one"])


@contextmanager
def running_rig(**settings: str) -> Iterator[Rig]:
    """`settings` are more environment variables of the product."""
    with running_stores() as own:
        port = free_port()
        argv = (sys.executable, "-m", "bench.support.light_csms", "--port", str(port))
        program = Program("csms", argv, is_ready=answers(f"http://{HOST}:{port}/"))
        with running_process(program, own.folder), running_stack(with_link=True, **settings) as stack:
            yield Rig(stack, port)


def locate(client: httpx.Client) -> str:
    """Create a location. Returns its id."""
    body = {
        "name": "North",
        "address": "1",
        "city": "Hamburg",
        "country": "DE",
        "coordinates": {"latitude": 53.6, "longitude": 10.0},
    }
    return str(client.post("/ocpp/locations", json=body).raise_for_status().json()["id"])


def memory_mib() -> float:
    """Proportional set size of all processes of chargers on this machine's stack."""
    size = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "simulator" in " ".join(process.cmdline()):
                size += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return size / 2**20
