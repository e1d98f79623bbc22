"""Chargers that move, and the processes of the hosts that they move to or from."""

from shared.fleet.observed import observed_state
from shared.vocabulary import ObservedState
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.world import World


class Hosts:
    """The processes of all hosts. One starts as soon as its host is opened."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._of: dict[str, FakeHost] = {}

    def work(self) -> None:
        for host in hosts_of(self._world.sessions):
            if host.id not in self._of:
                self._of[host.id] = FakeHost(self._world.sessions, host.id)
                self._of[host.id].hello()
            self._of[host.id].work()

    def run(self, charger_id: str) -> int:
        """How many of them run the charger."""
        return sum(charger_id in host.running for host in self._of.values())


def go_on(world: World, hosts: Hosts, charger_id: str, rounds: int = 1) -> None:
    """Workers, ECS, hosts and the observer do their part; each round takes as long as the charger had to wait."""
    for _ in range(rounds):
        world.wait_is_over(charger_id)
        world.converge(charger_id)
        world.ecs.settle()
        hosts.work()
        world.observe()


def active(world: World, charger_id: str) -> bool:
    service = world.ecs.services.get(charger_id)
    return service is not None and service.status == "ACTIVE"


def observed(world: World, charger_id: str) -> ObservedState:
    return observed_state(world.charger(charger_id))
