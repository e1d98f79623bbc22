"""ECS accepts every call, but nothing runs: the charger shows why, and recovers when the cause goes away."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.error_codes import ErrorCode
from shared.models import Charger
from shared.settings import Timing
from shared.vocabulary import CommandStatus
from tests.support.embedded_ecs import Embedded
from tests.support.waiting import wait_until
from tests.support.world import HOSTING, World
from worker.ecs.client import ServiceView, TaskView
from worker.observe.observe import observe
from worker.observe.reasons import explain
from worker.reconcile.converge import converge, record_internal_error

CAUSES = {
    "no_capacity": (ErrorCode.NO_CAPACITY, "ECS finds no capacity for the task"),
    "vcpu_quota": (ErrorCode.QUOTA_EXCEEDED, "An AWS account quota is used up"),
    "cannot_pull_image": (ErrorCode.IMAGE_UNAVAILABLE, "The container image cannot be pulled"),
}


@dataclass
class Live:
    """Clients as in `world`, and a worker on the embedded ECS."""

    world: World
    embedded: Embedded
    timing: Timing

    def converge(self, charger_id: str) -> None:
        converge(self.world.sessions, self.embedded.ecs, self.world.timing, charger_id, HOSTING)

    def until(self, charger_id: str, is_true: Callable[[Charger], object]) -> Charger:
        """Observe and repair until the condition holds. Returns the row then."""

        def observed() -> Charger | None:
            charger = self.world.charger(charger_id)
            if is_true(charger):
                return charger
            if observe(self.world.sessions, self.embedded.ecs, self.timing):
                self.converge(charger_id)
            return None

        charger = wait_until(observed)
        assert charger is not None
        return charger

    def ready(self) -> str:
        charger_id = self.world.create()
        self.converge(charger_id)
        self.until(charger_id, lambda charger: charger.provisioning_status == "READY")
        return charger_id


@pytest.fixture
def live(world: World, embedded: Embedded) -> Live:
    return Live(world, embedded, replace(world.timing, settle_s=0.3))


@pytest.mark.parametrize("cause", CAUSES)
def test_a_new_charger_that_cannot_run_says_why_and_comes_up_later(
    live: Live, world: World, cause: str
) -> None:
    code, words = CAUSES[cause]
    charger_id = world.create()
    live.embedded.process.set_faults({"kind": cause, "service": charger_id})
    live.converge(charger_id)

    stuck = live.until(charger_id, lambda charger: charger.reason_code == code)
    live.embedded.process.set_faults()
    ready = live.until(charger_id, lambda charger: charger.provisioning_status == "READY")

    assert stuck.provisioning_status == "PROVISIONING"
    assert stuck.reason is not None
    assert stuck.reason.startswith(words)
    assert (ready.running_count, ready.reason, ready.reason_code) == (1, None, None)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_start_that_ecs_cannot_fulfil_says_why_and_succeeds_later(
    live: Live, world: World, cause: str
) -> None:
    charger_id = live.ready()
    world.stop(charger_id)
    live.converge(charger_id)
    live.until(charger_id, lambda charger: charger.settled_generation == 2)
    live.embedded.process.set_faults({"kind": cause, "service": charger_id})
    start = world.start(charger_id)
    live.converge(charger_id)

    live.until(charger_id, lambda charger: charger.reason_code == CAUSES[cause][0])
    before = world.status(start)
    live.embedded.process.set_faults()
    running = live.until(charger_id, lambda charger: charger.settled_generation == 3)

    assert (running.running_count, running.reason) == (1, None)
    assert before == CommandStatus.APPLIED
    assert world.status(start) == CommandStatus.SUCCEEDED


@pytest.mark.parametrize("cause", CAUSES)
def test_a_new_charger_that_never_ran_has_failed_at_its_deadline(
    live: Live, world: World, cause: str
) -> None:
    charger_id = world.create()
    live.embedded.process.set_faults({"kind": cause, "service": charger_id})
    live.converge(charger_id)
    live.until(charger_id, lambda charger: charger.reason is not None)
    world.hours_pass(charger_id)

    failed = live.until(charger_id, lambda charger: charger.provisioning_status == "FAILED")

    code, words = CAUSES[cause]
    assert failed.error is not None
    assert (failed.error["code"], failed.error["step"]) == (code, "wait_until_running")
    assert words in failed.error["message"]
    assert failed.desired_count == 0


def test_a_charger_whose_process_ends_at_once_says_so_and_comes_up_later(live: Live, world: World) -> None:
    charger_id = world.create()
    live.embedded.process.set_faults({"kind": "exit_at_once", "exit_code": 3, "service": charger_id})
    live.converge(charger_id)

    down = live.until(charger_id, lambda charger: charger.reason_code == "task_exited")
    live.embedded.process.set_faults()
    up = live.until(
        charger_id, lambda charger: charger.provisioning_status == "READY" and charger.reason is None
    )

    assert down.reason is not None
    assert down.reason.startswith("The charger's process ended")
    assert "exit code 3" in down.reason
    assert up.running_count == 1


def test_a_deployment_that_ecs_gave_up_is_started_anew(live: Live, world: World) -> None:
    """Chargehand's services have no circuit breaker, but somebody may switch one on."""
    charger_id = live.ready()
    live.embedded.process.set_faults({"kind": "exit_at_once", "service": charger_id})
    raw: Any = live.embedded.ecs._ecs
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    raw.update_service(
        cluster="chargehand", service=charger_id, forceNewDeployment=True, deploymentConfiguration=breaker
    )

    def view() -> ServiceView:
        found = live.embedded.ecs.describe_services([charger_id])[charger_id]
        assert found is not None
        return found

    wait_until(lambda: view().rollout_failure, within_s=30)  # after three tasks have ended
    live.until(charger_id, lambda charger: charger.reason_code == "deployment_failed")
    live.embedded.process.set_faults()
    live.until(charger_id, lambda charger: charger.running_count == 1 and charger.reason is None)

    deployment = raw.describe_services(cluster="chargehand", services=[charger_id])["services"][0]
    assert deployment["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] is False
    assert view().rollout_failure is None


def test_a_repair_that_is_repeated_starts_one_deployment(world: World) -> None:
    charger_id = world.ready()
    world.ecs.crash(charger_id)
    world.ecs.services[charger_id].rollout_failure = "tasks failed to start"

    drifted = [world.observe()]
    world.work(charger_id)
    drifted.append(world.observe())

    assert drifted == [1, 0]
    assert world.ecs.runs(charger_id) == 1


# The error codes of ECS's texts.


def service(event: str | None = None, rollout_failure: str | None = None) -> ServiceView:
    return ServiceView("dep-1", "ACTIVE", 1, 0, 0, "arn", False, rollout_failure, event)


def stopped(reason: str, exit_code: int | None = None) -> TaskView:
    return TaskView("arn", "STOPPED", reason, exit_code, None, "STOPPED", "definition")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("CannotPullContainerError: failed to resolve ref", "image_unavailable"),
        ("CannotPullImageManifestError: not found", "image_unavailable"),
        ("ResourceInitializationError: unable to pull secrets", "provider_access_denied"),
        ("ECS was unable to assume the role 'arn:aws:iam::1:role/x'", "provider_access_denied"),
        ("Essential container in task exited", "task_exited"),
        ("Scaling activity initiated by (deployment ecs-svc/1)", None),
        ("Chargehand restart, generation 7", None),
        ("Task stopped by user", None),
    ],
)
def test_a_stopped_task_gives_the_reason(words: str, code: str | None) -> None:
    reason = explain(service("(service dep-1) has started 1 tasks: (task 1)."), stopped(words))

    assert (reason.code if reason else None) == code


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("was unable to place a task. Reason: Capacity is unavailable at this time.", "capacity_unavailable"),
        (
            "was unable to place a task because no container instance met all of its requirements.",
            "capacity_unavailable",
        ),
        (
            "was unable to place a task. Reason: You've reached the limit on the number of vCPUs.",
            "quota_exceeded",
        ),
        (
            "failed to launch a task with (error ECS was unable to assume the role 'x'.).",
            "provider_access_denied",
        ),
        ("has reached a steady state.", None),
        ("is unable to consistently start tasks successfully.", None),
    ],
)
def test_a_service_event_gives_the_reason(event: str, code: str | None) -> None:
    reason = explain(service(f"(service dep-1) {event}"), None)

    assert (reason.code if reason else None) == code


def test_the_newest_cause_is_reported_and_no_older_one() -> None:
    reason = explain(
        service("(service dep-1) was unable to place a task. Reason: Capacity is unavailable."),
        stopped("Essential container in task exited", exit_code=1),
    )

    assert reason is not None
    assert reason.code == ErrorCode.NO_CAPACITY


def test_an_internal_error_is_on_the_row_and_tried_again(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)

    record_internal_error(world.sessions, world.timing, charger_id, RuntimeError("secret details"))
    waiting, command = world.charger(charger_id), world.command(stop)
    world.wait_is_over(charger_id)
    world.work(charger_id)

    assert (waiting.reason_code, waiting.attempts) == ("unknown_error", 1)
    assert waiting.reason is not None
    assert "RuntimeError" in waiting.reason
    assert "secret" not in waiting.reason
    assert (command.status, command.reason) == (CommandStatus.QUEUED, waiting.reason)
    assert world.status(stop) == CommandStatus.SUCCEEDED


def test_an_internal_error_that_stays_ends_at_the_deadline(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.hours_pass(charger_id)

    record_internal_error(world.sessions, world.timing, charger_id, RuntimeError())

    error = world.command(stop).error
    assert error is not None
    assert error["code"] == "unknown_error"
