"""A part of the product is killed while shared chargers run and commands for some of them come."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.hosts.product import LOCATION, Product, stayed
from tests.support.waiting import wait_until

AWAY_S = 3  # until the part is started again
TIMES = 2
SETTLED_WITHIN_S = 60
DRIVEN = 8  # of the fleet; the others are their neighbours
VERBS = ("start", "stop", "restart", "restart")


@dataclass
class Requested:
    """What the API has accepted."""

    commands: dict[str, list[tuple[str, str]]] = field(
        default_factory=dict
    )  #: verb and command id, by charger
    created: dict[str, str] = field(default_factory=dict)  #: ids by identity
    deleted: set[str] = field(default_factory=set)
    doubtful: set[str] = field(
        default_factory=set
    )  #: chargers of the fleet, and identities, with a request whose answer was lost or 503

    @property
    def accepted(self) -> int:
        return sum(map(len, self.commands.values())) + len(self.created) + len(self.deleted)


class Client(threading.Thread):
    """Sends commands for some chargers, and creates and deletes others, until `ended` is set."""

    def __init__(self, product: Product, driven: list[str], prefix: str) -> None:
        super().__init__()
        self.requested = Requested()
        self.ended = threading.Event()
        self._product, self._driven, self._prefix = product, driven, prefix
        self.location_id = product.call("/locations", "POST", json=LOCATION)["id"]
        self._dice = random.Random(prefix)
        self._number = 0

    def run(self) -> None:
        while not self.ended.wait(0.1):
            step = self._dice.choice([self._command] * 4 + [self._create, self._delete])
            step()

    def _command(self) -> None:
        charger_id, verb = self._dice.choice(self._driven), self._dice.choice(VERBS)
        answer = self._send(charger_id, f"/chargers/{charger_id}/{verb}-charger", "POST")
        if answer is not None:
            commands = self.requested.commands.setdefault(charger_id, [])
            commands.append((verb, answer["command_id"]))

    def _create(self) -> None:
        self._number += 1
        identity = f"{self._prefix}-{self._number:03}"
        body = {
            "identity": identity,
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": self._product.csms.url,
            "placement": "shared",
            "location_id": self.location_id,
        }
        answer = self._send(identity, "/chargers", "POST", json=body)
        if answer is not None:
            self.requested.created[identity] = answer["charger_id"]

    def _delete(self) -> None:
        left = self.requested.created.keys() - self.requested.deleted
        if left:
            identity = self._dice.choice(sorted(left))
            path = f"/chargers/{self.requested.created[identity]}"
            if self._send(identity, path, "DELETE") is not None:
                self.requested.deleted.add(identity)

    def _send(self, target: str, path: str, method: str, **more: Any) -> dict[str, Any] | None:
        """None unless the API is known to have accepted it."""
        try:
            answer = self._product.request(path, method, **more)
        except httpx.TransportError:
            self.requested.doubtful.add(target)
            return None
        if answer.status_code == 404 and target in self.requested.doubtful:
            return None  # an earlier delete was accepted
        assert answer.status_code in (200, 202, 204, 503), answer.text
        if not answer.is_success:
            self.requested.doubtful.add(target)
            return None
        return answer.json() if answer.content else {}


@contextmanager
def requests(product: Product, driven: list[str], prefix: str) -> Iterator[Client]:
    client = Client(product, driven, prefix)
    client.start()
    try:
        yield client
    finally:
        client.ended.set()
        client.join()


def until_accepted(client: Client, count: int) -> None:
    wanted = client.requested.accepted + count
    wait_until(lambda: client.requested.accepted >= wanted, 60, f"{count} more are accepted")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["link", "worker", "redis", "postgres", "api", "beat", "ecs"])
def test_no_accepted_command_is_lost_and_no_neighbour_leaves_its_csms(
    product: Product, fleet: dict[str, str], part: str
) -> None:
    driven = {identity: fleet[identity] for identity in list(fleet)[:DRIVEN]}
    before = product.connected(fleet)
    product.all_observed(fleet.values(), "running", within_s=60)
    hosts = product.hosts() if part != "ecs" else {}
    neighbours = [session for identity, session in before.items() if identity not in driven]

    with requests(product, list(driven.values()), part) as client:
        for _ in range(TIMES):
            until_accepted(client, 10)
            product.kill(part)
            ended_at = monotonic()
            wait_until(lambda at=ended_at: monotonic() > at + AWAY_S)  # type: ignore[misc]
            product.start(part)
        until_accepted(client, 10)
    requested = client.requested
    off = set()
    for identity, charger_id in driven.items():
        newest = settled(product, charger_id, within_s=SETTLED_WITHIN_S)
        known = requested.commands.get(charger_id, [])
        assert charger_id in requested.doubtful or not known or newest["id"] == known[-1][1]
        is_off = newest["event_type"] == "stop_charger"
        product.all_observed([charger_id], "stopped" if is_off else "running")
        off |= {identity} if is_off else set()
    for charger_id, commands in requested.commands.items():
        statuses = {command["id"]: command["status"] for command in history(product, charger_id)}
        assert {statuses[command_id] for _, command_id in commands} <= {"succeeded", "superseded"}
    there = product.chargers_of(client.location_id)
    certain = requested.created.keys() - requested.doubtful
    assert certain - requested.deleted <= there.keys()
    product.all_observed(there.values(), "running", SETTLED_WITHIN_S)
    wait_until(lambda: not any(product.exists(requested.created[each]) for each in requested.deleted), 60)
    product.connected({*fleet, *there} - off, within_s=SETTLED_WITHIN_S)
    for identity in off | requested.deleted:
        product.csms.wait_for_end(identity, within_s=SETTLED_WITHIN_S)

    assert {product.csms.most_at_once(identity) for identity in [*fleet, *requested.created]} <= {0, 1}
    if part != "ecs":  # its tasks end with it
        assert stayed(neighbours)
        assert product.hosts() == hosts
    [host] = product.call("/hosts")["data"]
    assert host["chargers"] == len(fleet) + len(there)
    product.delete(there.values())
    for charger_id in driven.values():
        product.call(f"/chargers/{charger_id}/start-charger?wait=20", "POST")
    product.all_observed(fleet.values(), "running")


def history(product: Product, charger_id: str) -> list[dict[str, Any]]:
    """The charger's commands, the newest first."""
    found: list[dict[str, Any]] = product.call(f"/chargers/{charger_id}/commands?limit=100")["data"]
    return found


def settled(product: Product, charger_id: str, within_s: float) -> dict[str, Any]:
    """The charger's newest command, when it has succeeded."""
    wait_until(lambda: history(product, charger_id)[0]["status"] == "succeeded", within_s)
    return history(product, charger_id)[0]
