"""The ECS service of a host: made when the host is opened, followed, given new settings one by one, removed when empty."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import timedelta
from threading import Event
from unittest.mock import patch

import pytest
from sqlalchemy import delete, func, select, update

from shared.error_codes import ErrorCode
from shared.fleet import hosts
from shared.models import Charger, FleetSpec, Host
from shared.vocabulary import Placement
from tests.support.fake_ecs import FakeEcs, FakeService, fail_once
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.world import World
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import EcsRejected
from worker.maintenance.keep_hosts import keep_hosts


def keep(world: World, ecs: FakeEcs | None = None) -> None:
    """Look at all hosts now."""
    ecs = ecs or world.ecs
    with world.sessions.begin() as session:
        session.execute(update(Host).values(converge_at=func.now()))
    keep_hosts(world.sessions, ecs, world.timing, ecs.spec)


def opened(world: World, number: int = 1, organization: str = "acme") -> Host:
    world.converge(world.create(f"CP-{number}", Placement.SHARED, organization))
    return hosts_of(world.sessions)[-1]


def running(world: World, number: int = 1, organization: str = "acme") -> FakeHost:
    host = opened(world, number, organization)
    keep(world)
    world.ecs.settle()
    fake = FakeHost(world.sessions, host.id)
    fake.hello()
    keep(world)
    return fake


def newest(world: World, host_id: str) -> Host:
    with world.sessions() as session:
        return session.get_one(Host, host_id)


def the_fleets_spec_is(world: World, spec: str) -> None:
    """For long enough that a rollout to it may begin."""
    with world.sessions.begin() as session:
        session.execute(delete(FleetSpec))
        session.add(FleetSpec(hash=spec, since=func.now() - timedelta(hours=1)))


def test_a_host_that_was_opened_gets_a_service_and_is_followed_until_it_runs(world: World) -> None:
    host = opened(world)

    keep(world)
    made = newest(world, host.id)
    world.ecs.settle()
    keep(world)

    runs = newest(world, host.id)
    assert (made.service_status, made.running_count, made.running_task_arn) == ("ACTIVE", 0, None)
    assert (runs.running_count, runs.running_task_arn) == (1, world.ecs.current_task(host.id))
    assert world.ecs.mutations == [("RegisterTaskDefinition", host.id), ("CreateService", host.id)]


def test_a_service_that_somebody_changed_or_deleted_is_made_again(world: World) -> None:
    host = running(world)
    world.ecs.services[host.host_id].desired_count = 0
    keep(world)
    changed = world.ecs.services[host.host_id].desired_count
    del world.ecs.services[host.host_id]
    keep(world)

    assert changed == 1
    assert world.ecs.services[host.host_id].desired_count == 1


def test_a_host_whose_task_ends_says_why(world: World) -> None:
    host = running(world)

    world.ecs.crash(host.host_id, exit_code=1)
    keep(world)

    row = newest(world, host.host_id)
    assert (row.running_count, row.running_task_arn, row.reason_code) == (0, None, "task_exited")


def test_a_worker_makes_no_service_for_a_host_that_another_one_removes(world: World) -> None:
    """It registers the first definition while the other one, which found none, is about to remove the row."""
    host = opened(world)
    [charger_id] = charger_ids(world)
    world.delete(charger_id)
    world.converge(charger_id)
    other = copy(world.ecs)
    other.script = []
    registers, may_register, goes_on, is_removed = (Event() for _ in range(4))

    def register_late() -> None:
        registers.set()
        may_register.wait(10)

    def create_late() -> None:
        goes_on.set()
        is_removed.wait(10)

    def first_worker() -> None:
        keep(world)
        goes_on.set()

    def checked_last(host_id: str) -> None:
        may_register.set()
        goes_on.wait(10)

    world.ecs.script += [register_late, create_late]
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(first_worker)
        registers.wait(10)
        with world.sessions.begin() as session:
            hosts.drain_host(session, organization_id=None, host_id=host.id)
        with patch.object(other, "remaining_service", checked_last):
            keep(world, other)
        is_removed.set()
        first.result()

    assert hosts_of(world.sessions) == []
    assert host.id not in {*world.ecs.services, *world.ecs.definitions}


def reject() -> None:
    raise EcsRejected(ErrorCode.ACCESS_DENIED, "CreateService: AccessDeniedException: no")


def wait() -> None:
    raise BudgetSpent(8)


@pytest.mark.parametrize(
    ("failure", "code", "attempts", "least_s"),
    [
        (fail_once("CreateService: ThrottlingException"), "runtime_provider_error", 1, 0.4),
        (reject, "provider_access_denied", 1, 15),
        (wait, "waiting_for_rate_budget", 0, 7),
    ],
)
def test_a_call_that_fails_is_recorded_and_tried_again(
    world: World, failure: Callable[[], None], code: str, attempts: int, least_s: float
) -> None:
    host = opened(world)
    world.ecs.script.append(failure)

    keep(world)
    failed = newest(world, host.id)
    keep(world)

    assert (failed.reason_code, failed.attempts) == (code, attempts)
    with world.sessions() as session:
        now = session.scalars(select(func.now())).one()
    assert failed.converge_at > now + timedelta(seconds=least_s - 1)
    after = newest(world, host.id)
    assert (after.service_status, after.reason, after.attempts) == ("ACTIVE", None, 0)


def test_a_host_that_runs_has_no_reason_though_ecs_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = running(world)
    monkeypatch.setattr(world.ecs, "describe_services", lambda _: wait())

    keep(world)

    row = newest(world, host.host_id)
    assert (row.reason, row.running_count, row.not_before is None) == (None, 1, False)


def test_new_settings_reach_one_host_after_the_other(world: World) -> None:
    fakes = [running(world, number, f"org-{number}") for number in range(3)]
    updated = world.ecs.with_spec("spec-2")
    the_fleets_spec_is(world, "spec-2")
    rolled = []
    for _ in fakes:
        keep(world, updated)
        keep(world, updated)  # the one that has them does not run yet
        begun = [fake for fake in fakes if newest(world, fake.host_id).spec_hash == "spec-2"]
        rolled.append(len(begun))
        world.ecs.settle()
        for fake in begun:
            fake.hello()
        keep_without_rollout(world, updated)

    assert rolled == [1, 2, 3]
    assert all(len(world.ecs.definitions[fake.host_id]) == 1 for fake in fakes)


def keep_without_rollout(world: World, ecs: FakeEcs) -> None:
    """Look at the hosts while another spec is the fleet's."""
    the_fleets_spec_is(world, "spec-3")
    keep(world, ecs)
    the_fleets_spec_is(world, "spec-2")


def test_a_worker_whose_settings_are_not_the_fleets_rolls_nothing_out(world: World) -> None:
    host = running(world)
    the_fleets_spec_is(world, "spec-1")

    keep(world, world.ecs.with_spec("spec-2"))

    assert newest(world, host.host_id).spec_hash == "spec-1"


def test_a_host_that_does_not_come_up_gets_new_settings_at_once(world: World) -> None:
    hosts_down = [opened(world, number, f"org-{number}") for number in range(2)]
    keep(world)
    the_fleets_spec_is(world, "spec-2")

    keep(world, world.ecs.with_spec("spec-2"))

    assert [newest(world, host.id).spec_hash for host in hosts_down] == ["spec-2", "spec-2"]


def test_a_host_that_stays_empty_is_removed_with_its_service_and_definitions(world: World) -> None:
    host = running(world)
    remove_its_charger(world, host)
    keep(world)
    kept = newest(world, host.host_id).deleted_at
    with world.sessions.begin() as session:
        session.execute(update(Host).values(empty_since=func.now() - timedelta(hours=1)))
    keep(world)
    draining = newest(world, host.host_id)
    world.ecs.settle()
    keep(world)

    assert kept is None
    assert draining.service_status == "DRAINING"
    assert hosts_of(world.sessions) == []
    assert world.ecs.definitions == {}
    assert world.ecs.services[host.host_id].status == "INACTIVE"


def remove_its_charger(world: World, host: FakeHost) -> None:
    [charger_id] = charger_ids(world)
    world.delete(charger_id)
    world.converge(charger_id)
    host.work()
    world.observe_once()
    world.converge(charger_id)


def charger_ids(world: World) -> list[str]:
    with world.sessions() as session:
        return list(session.scalars(select(Charger.id)))


def test_a_service_that_a_late_call_makes_while_its_host_is_removed_is_removed_too(world: World) -> None:
    """A worker has read the row before, and its call reaches ECS while the definitions are deleted."""
    host = running(world)
    remove_its_charger(world, host)
    with world.sessions.begin() as session:
        session.execute(update(Host).values(empty_since=func.now() - timedelta(hours=1)))
    keep(world)
    delete_definitions = world.ecs.delete_task_definitions

    def made_meanwhile(definitions: Mapping[str, bool]) -> None:
        if definitions:
            world.ecs.services[host.host_id] = FakeService(1, next(iter(definitions)))
        delete_definitions(definitions)

    world.ecs.settle()
    with patch.object(world.ecs, "delete_task_definitions", made_meanwhile):
        keep(world)
    for _ in range(2):
        world.ecs.settle()
        keep(world)

    assert world.ecs.services[host.host_id].status == "INACTIVE"
    assert hosts_of(world.sessions) == []


def test_a_host_with_a_charger_is_never_removed(world: World) -> None:
    host = running(world)
    with world.sessions.begin() as session:
        session.execute(update(Host).values(empty_since=func.now() - timedelta(hours=1)))

    keep(world)

    assert newest(world, host.host_id).deleted_at is None


def test_a_draining_host_is_removed_as_soon_as_it_is_empty(world: World) -> None:
    opened(world)
    with world.sessions.begin() as session:
        session.add(Host(id="host-empty", organization_id="acme", capacity=3))
        session.flush()
        hosts.drain_host(session, organization_id="acme", host_id="host-empty")

    keep(world)
    keep(world)

    assert "host-empty" not in {host.id for host in hosts_of(world.sessions)}
