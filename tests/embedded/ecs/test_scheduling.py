"""Counts, statuses and reasons follow the processes, as they follow containers in Amazon ECS."""

import contextlib
import json
import os
import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from embedded.ecs.scheduling.specification import environment_for
from tests.support.ecs_services import CLUSTER, STOP_FIRST, Fleet, new_name
from tests.support.waiting import wait_until


def test_a_service_runs_its_task_and_counts_it(fleet: Fleet) -> None:
    created = fleet.ecs.create_service(**fleet.request("dep-counts", taskDefinition=fleet.define()))[
        "service"
    ]
    assert (created["runningCount"], created["pendingCount"], created["desiredCount"]) == (0, 0, 1)

    fleet.until_running("dep-counts")

    task = fleet.describe_task(fleet.task("dep-counts"))
    assert (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING")
    assert task["startedAt"] >= task["createdAt"]
    assert task["group"] == "service:dep-counts"
    assert task["startedBy"] == fleet.describe("dep-counts")["deployments"][0]["id"]
    assert psutil.pid_exists(fleet.pid("dep-counts"))


def test_a_deployment_completes_once_its_task_has_run_a_while(fleet: Fleet) -> None:
    name = fleet.given()
    assert fleet.describe(name)["deployments"][0]["rolloutState"] == "IN_PROGRESS"

    fleet.until_steady(name)

    [deployment] = fleet.describe(name)["deployments"]
    assert (deployment["status"], deployment["runningCount"], deployment["failedTasks"]) == ("PRIMARY", 1, 0)
    steady, completed, started = fleet.events(name)
    assert steady == f"(service {name}) has reached a steady state."
    assert completed == f"(service {name}) (deployment {deployment['id']}) deployment completed."
    assert started.startswith(f"(service {name}) has started 1 tasks: (task ")


def test_desired_count_zero_stops_the_process(fleet: Fleet) -> None:
    name = fleet.given()
    arn = fleet.task(name)
    fleet.until_printed(arn, "started")

    answered = fleet.update(name, desiredCount=0)

    assert answered["desiredCount"] == 0
    task = fleet.until_stopped(arn)
    assert "stopping" in fleet.lines(arn)
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    assert task["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")
    assert task["containers"][0]["exitCode"] == 0
    assert task["stoppingAt"] <= task["stoppedAt"]
    assert fleet.counts(name) == (0, 0, 0)


def test_a_changed_count_starts_no_deployment(fleet: Fleet) -> None:
    name = fleet.given()
    fleet.until_steady(name)
    before = fleet.describe(name)["deployments"][0]["id"]

    fleet.update(name, desiredCount=0)
    fleet.until_running(name, 0)
    fleet.update(name, desiredCount=1)
    fleet.until_running(name)

    [deployment] = fleet.describe(name)["deployments"]
    assert (deployment["id"], deployment["rolloutState"]) == (before, "COMPLETED")


def test_a_task_that_does_not_stop_is_killed_after_its_timeout(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(stop_timeout_s=1, CHARGER_TASK_STOPS_IN_S="60"))
    fleet.until_running(name)
    arn = fleet.task(name)
    fleet.until_printed(arn, "started")

    stop_requested_at = time.monotonic()
    fleet.update(name, desiredCount=0)
    wait_until(lambda: fleet.describe_task(arn)["lastStatus"] == "STOPPING")
    task = fleet.until_stopped(arn)

    assert time.monotonic() - stop_requested_at >= 1
    assert task["containers"][0]["exitCode"] == 128 + signal.SIGKILL


def test_a_stopped_task_is_replaced_when_its_process_is_gone(fleet: Fleet) -> None:
    name = fleet.given(CHARGER_TASK_STOPS_IN_S="0.5")
    arn = fleet.task(name)
    fleet.until_printed(arn, "started")

    answered = fleet.stop(arn, "restart of generation 7")
    repeated = fleet.stop(arn, "restart of generation 7, again")

    assert (answered["desiredStatus"], repeated["desiredStatus"]) == ("STOPPED", "STOPPED")
    wait_until(lambda: fleet.counts(name) == (1, 0, 0))
    fleet.until_running(name)
    stopped = fleet.describe_task(arn)
    assert stopped["lastStatus"] == "STOPPED"
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "restart of generation 7")
    assert fleet.stop(arn, "once more")["stoppedReason"] == "restart of generation 7"
    assert fleet.describe_task(fleet.task(name))["startedAt"] >= stopped["stoppedAt"]


def test_stop_and_start_in_a_hurry_never_run_two_tasks(fleet: Fleet) -> None:
    name = fleet.given(CHARGER_TASK_STOPS_IN_S="0.3")
    first = fleet.task(name)
    fleet.until_printed(first, "started")

    for desired_count in (0, 1, 0, 1, 0, 1):
        fleet.update(name, desiredCount=desired_count)

    fleet.until_stopped(first)
    fleet.until_running(name)
    successor = fleet.describe_task(fleet.task(name))
    assert successor["startedAt"] >= fleet.describe_task(first)["stoppedAt"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_of_changes_ends_at_the_last_one(fleet: Fleet, seed: int) -> None:
    """The tasks hold a lock, and `delete_all` fails the test if two of them overlapped."""
    randomness = random.Random(seed)
    name = fleet.given(CHARGER_TASK_STOPS_IN_S="0.1")

    def wait() -> None:
        time.sleep(0.1)

    def kill() -> None:
        for task in fleet.process.tasks():
            if task["service"] == name and task["pid"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(task["pid"], signal.SIGKILL)

    def stop() -> None:
        for arn in fleet.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"]:
            fleet.stop(arn)

    changes = [
        lambda: fleet.update(name, desiredCount=0),
        lambda: fleet.update(name, desiredCount=1),
        lambda: fleet.update(name, forceNewDeployment=True),
        stop,
        kill,
        wait,
    ]
    for change in randomness.choices(changes, k=20):
        change()
    fleet.update(name, desiredCount=seed % 2)

    wait_until(lambda: fleet.counts(name) == (seed % 2, seed % 2, 0))
    fleet.until_steady(name)


@pytest.mark.parametrize("change", ["a new task definition", "forceNewDeployment"])
def test_a_deployment_stops_the_old_task_before_it_starts_the_new(fleet: Fleet, change: str) -> None:
    name = fleet.given(CHARGER_TASK_STOPS_IN_S="0.4")
    fleet.until_steady(name)
    old = fleet.task(name)
    old_deployment = fleet.describe(name)["deployments"][0]["id"]

    if change == "forceNewDeployment":
        definition = fleet.describe(name)["taskDefinition"]
        fleet.update(name, forceNewDeployment=True)
    else:
        definition = fleet.define()
        fleet.update(name, taskDefinition=definition)

    primary, active = fleet.describe(name)["deployments"]
    assert (primary["status"], primary["rolloutState"]) == ("PRIMARY", "IN_PROGRESS")
    assert (active["status"], active["id"]) == ("ACTIVE", old_deployment)
    stopped = fleet.until_stopped(old)
    fleet.until_steady(name)
    new = fleet.describe_task(fleet.task(name))
    assert new["taskDefinitionArn"] == definition
    assert new["startedAt"] >= stopped["stoppedAt"]
    assert [each["id"] for each in fleet.describe(name)["deployments"]] == [primary["id"]]


def test_an_update_that_changes_nothing_restarts_nothing(fleet: Fleet) -> None:
    name = fleet.given()
    arn, definition = fleet.task(name), fleet.describe(name)["taskDefinition"]

    fleet.update(name, taskDefinition=definition, desiredCount=1)

    fleet.until_steady(name)
    assert fleet.task(name) == arn
    assert len(fleet.describe(name)["deployments"]) == 1


def test_with_room_for_two_the_new_task_starts_first(fleet: Fleet) -> None:
    """The default percentages of ECS: why a charger's service must not use them."""
    name = fleet.create(fleet.define(CHARGER_TASK_MAY_OVERLAP="1"), deploymentConfiguration={})
    fleet.until_steady(name)
    old = fleet.task(name)

    fleet.update(name, taskDefinition=fleet.define(CHARGER_TASK_MAY_OVERLAP="1"))

    stopped = fleet.until_stopped(old)
    assert fleet.describe_task(fleet.task(name))["startedAt"] <= stopped["stoppingAt"]
    assert fleet.counts(name) == (1, 1, 0)


def test_a_service_may_have_several_tasks(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(CHARGER_TASK_MAY_OVERLAP="1"))
    fleet.until_running(name)

    fleet.update(name, desiredCount=3)
    fleet.until_running(name, 3)
    fleet.update(name, desiredCount=1)

    wait_until(lambda: fleet.counts(name) == (1, 1, 0))


def test_a_killed_process_is_reported_and_replaced(fleet: Fleet) -> None:
    name = fleet.given()
    arn = fleet.task(name)

    os.kill(fleet.pid(name), signal.SIGKILL)

    task = fleet.until_stopped(arn)
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert task["containers"][0]["exitCode"] == 137
    fleet.until_running(name)
    assert fleet.task(name) != arn


def test_repeated_crashes_wait_longer_each_time(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(CHARGER_TASK_LIVES_S="0", CHARGER_TASK_EXITS_WITH="3"))

    wait_until(lambda: len(fleet.stopped_tasks(name)) >= 5)

    tasks = fleet.stopped_tasks(name)
    assert {task["containers"][0]["exitCode"] for task in tasks} == {3}
    pauses = [
        (later["createdAt"] - earlier["stoppedAt"]).total_seconds() for earlier, later in pairwise(tasks)
    ][:3]
    assert all(pause >= 0.09 * 2**number for number, pause in enumerate(pauses)), pauses
    assert any("is unable to consistently start tasks successfully" in event for event in fleet.events(name))


def test_the_circuit_breaker_ends_a_deployment_that_cannot_start(fleet: Fleet) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    name = new_name()
    fleet.process.set_faults({"kind": "cannot_pull_image", "service": name})
    fleet.create(fleet.define(), name, deploymentConfiguration=STOP_FIRST | breaker)

    wait_until(lambda: fleet.describe(name)["deployments"][0]["rolloutState"] == "FAILED")

    [deployment] = fleet.describe(name)["deployments"]
    assert deployment["failedTasks"] == 3
    assert deployment["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert (
        fleet.events(name)[0]
        == f"(service {name}) (deployment {deployment['id']}) deployment failed: tasks failed to start."
    )
    assert len(fleet.stopped_tasks(name)) == 3

    fleet.process.set_faults()  # ends every back-off
    fleet.until_steady(fleet.given())
    assert len(fleet.stopped_tasks(name)) == 3
    assert fleet.counts(name) == (1, 0, 0)

    fleet.update(name, taskDefinition=fleet.define())
    fleet.until_steady(name)


def test_the_circuit_breaker_rolls_back_when_asked(fleet: Fleet) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    good = fleet.define()
    name = fleet.create(good, deploymentConfiguration=STOP_FIRST | breaker)
    fleet.until_steady(name)

    fleet.process.set_faults({"kind": "cannot_pull_image", "service": name})
    fleet.update(name, taskDefinition=fleet.define())

    wait_until(lambda: fleet.describe(name)["taskDefinition"] == good)
    fleet.process.set_faults()
    fleet.until_steady(name)


def test_the_children_of_a_task_end_with_it(fleet: Fleet) -> None:
    name = fleet.given(CHARGER_TASK_HAS_CHILD="1")
    child = int(fleet.until_printed(fleet.task(name), "child ").split()[1])

    fleet.update(name, desiredCount=0)

    wait_until(lambda: not psutil.pid_exists(child))


def test_a_task_sees_its_definition_and_nothing_secret(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    name = fleet.given(CHARGER_TASK_SHOWS_ENVIRONMENT="1", CHARGER_IDENTITY="CP-1")

    environment = json.loads(fleet.until_printed(fleet.task(name), "CHARGER_IDENTITY"))

    assert environment["CHARGER_IDENTITY"] == "CP-1"
    assert environment["PATH"] == os.environ["PATH"]
    unwanted = {"AWS_", "DATABASE", "REDIS", "JWT", "ECS_EMBEDDED"}
    assert not [variable for variable in environment if any(variable.startswith(each) for each in unwanted)]
    assert set(environment) & set(os.environ) <= {
        variable
        for variable in os.environ
        if variable in {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
        or variable.startswith(("PYTHON", "LC_", "SSL_CERT_"))
    } | {"PWD", "SHLVL", "_"}


def test_a_task_has_a_folder_of_its_own_that_goes_with_it(fleet: Fleet) -> None:
    """As on Fargate: the successor finds nothing of what it wrote."""
    name = fleet.given()
    folder = Path(psutil.Process(fleet.pid(name)).cwd())
    (folder / "written").write_text("by the task")

    fleet.stop(task := fleet.task(name))
    fleet.until_stopped(task)
    assert not folder.exists()

    fleet.until_running(name)
    successor = Path(psutil.Process(fleet.pid(name)).cwd())
    assert (successor.parent, list(successor.iterdir())) == (folder.parent, [])

    fleet.delete(name)
    wait_until(lambda: fleet.describe(name)["status"] == "INACTIVE")
    assert not folder.parent.exists()


def test_forbidden_variables_of_a_stored_definition_are_left_out() -> None:
    """A version without this rule may have stored them."""
    stored = {"PYTHONPATH": "/tmp/evil", "LD_PRELOAD": "evil.so", "CHARGER_IDENTITY": "CP-1"}
    pairs = [{"name": name, "value": value} for name, value in stored.items()]

    environment = environment_for({"environment": pairs})

    assert environment["CHARGER_IDENTITY"] == "CP-1"
    assert "evil" not in " ".join(environment.values())


def test_a_task_without_its_log_group_never_runs(fleet: Fleet) -> None:
    answer = fleet.ecs.register_task_definition(
        family=new_name(),
        containerDefinitions=[
            {
                "name": "charger",
                "image": "any",
                "memory": 128,
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/not/there"}},
            }
        ],
    )
    name = fleet.create(answer["taskDefinition"]["taskDefinitionArn"], launchType="EC2")

    [task] = wait_until(lambda: fleet.stopped_tasks(name))[:1]

    assert task["stopCode"] == "TaskFailedToStart"
    assert "The specified log group '/not/there' does not exist" in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]
    assert "startedAt" not in task


def test_a_deleted_service_drains_before_it_is_inactive(fleet: Fleet) -> None:
    name = fleet.given(CHARGER_TASK_STOPS_IN_S="0.5")
    arn = fleet.task(name)
    fleet.until_printed(arn, "started")

    assert fleet.delete(name)["status"] == "DRAINING"
    assert fleet.describe(name)["status"] == "DRAINING"
    assert fleet.delete(name)["status"] == "DRAINING"

    wait_until(lambda: fleet.describe(name)["status"] == "INACTIVE")
    assert fleet.describe_task(arn)["lastStatus"] == "STOPPED"
    assert fleet.counts(name) == (0, 0, 0)


def test_the_cluster_counts_services_and_tasks(fleet: Fleet) -> None:
    def counted() -> tuple[int, int]:
        [cluster] = fleet.ecs.describe_clusters(clusters=[CLUSTER])["clusters"]
        return cluster["activeServicesCount"], cluster["runningTasksCount"]

    services, tasks = counted()
    name = fleet.given()
    assert counted() == (services + 1, tasks + 1)

    fleet.delete(name)
    wait_until(lambda: counted() == (services, tasks))
