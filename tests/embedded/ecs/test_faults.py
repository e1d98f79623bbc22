"""Each fault happens only to what its rule names, and ends with the rule."""

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, HTTPClientError

from tests.support.ecs_services import CLUSTER, GROUP, STOP_FIRST, Fleet
from tests.support.waiting import wait_until


def error_of(call: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


# Calls


def test_throttled_calls_change_nothing(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    fleet.process.set_faults({"kind": "throttle", "action": "UpdateService", "service": name})

    assert error_of(lambda: fleet.update(name, desiredCount=1)) == (400, "ThrottlingException")

    assert fleet.describe(name)["desiredCount"] == 0
    [rule] = fleet.process.faults()
    assert (rule["matched"], rule["applied"]) == (1, 1)
    fleet.process.set_faults()
    fleet.update(name, desiredCount=1)
    fleet.until_running(name)


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_changes_nothing(fleet: Fleet, status: int) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    fleet.process.set_faults({"kind": "error", "status": status, "service": name, "action": "Update*"})

    assert error_of(lambda: fleet.update(name, desiredCount=1)) == (status, "ServerException")

    assert fleet.describe(name)["desiredCount"] == 0


@pytest.mark.parametrize(("kind", "desired_count"), [("cut", 0), ("apply_then_cut", 1)])
def test_a_connection_is_cut_before_or_after_the_change(fleet: Fleet, kind: str, desired_count: int) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    fleet.process.set_faults({"kind": kind, "action": "UpdateService", "service": name})

    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        fleet.update(name, desiredCount=1)

    assert fleet.describe(name)["desiredCount"] == desired_count
    call = fleet.process.calls("UpdateService")[-1]
    assert (call["services"], call["faults"], call["error"]) == ([name], [kind], "connection cut")


@pytest.mark.parametrize("kind", ["delay", "apply_then_delay"])
def test_a_call_is_slow_before_or_after_the_change(fleet: Fleet, kind: str) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    fleet.process.set_faults({"kind": kind, "action": "DescribeServices", "service": name, "seconds": 0.4})

    fleet.describe(name)
    fleet.ecs.describe_services(cluster=CLUSTER, services=["dep-other"])

    slow, other = fleet.process.calls("DescribeServices")[-2:]
    assert (slow["faults"], other["faults"]) == ([kind], [])
    assert slow["duration_s"] >= 0.4


@pytest.mark.parametrize("kind", ["truncated", "empty"])
def test_a_spoilt_answer_looks_like_success_to_boto3(fleet: Fleet, kind: str) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    fleet.process.set_faults({"kind": kind, "action": "UpdateService", "service": name})

    answer: dict[str, Any] = {**fleet.ecs.update_service(cluster=CLUSTER, service=name, desiredCount=1)}

    assert "service" not in answer
    assert fleet.describe(name)["desiredCount"] == 1


def test_half_of_the_services_are_missing(fleet: Fleet) -> None:
    definition = fleet.define()
    names = [fleet.create(definition, desiredCount=0) for _ in range(4)]
    fleet.process.set_faults({"kind": "missing", "seed": 1})

    answer = fleet.ecs.describe_services(cluster=CLUSTER, services=names)

    assert len(answer["services"]) == 2
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING", "MISSING"]


def test_reads_answer_for_a_while_as_before_the_last_change(fleet: Fleet) -> None:
    definition = fleet.define()
    fleet.process.set_faults({"kind": "stale", "seconds": 0.5})

    name = fleet.create(definition)
    missing = fleet.ecs.describe_services(cluster=CLUSTER, services=[name])["failures"]
    wait_until(lambda: fleet.ecs.describe_services(cluster=CLUSTER, services=[name])["services"])
    fleet.until_running(name)
    task = fleet.task(name)
    fleet.update(name, desiredCount=0)
    after_the_change = (fleet.counts(name), fleet.task(name), fleet.describe_task(task)["lastStatus"])

    assert [failure["reason"] for failure in missing] == ["MISSING"]
    assert after_the_change == ((1, 1, 0), task, "RUNNING")
    wait_until(lambda: fleet.counts(name) == (0, 0, 0))


@pytest.mark.parametrize("answer", ["cut", "error"])
def test_a_ghost_is_applied_after_its_caller_has_an_error(fleet: Fleet, answer: str) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    ghost = {"kind": "ghost", "action": "UpdateService", "seconds": 1.0, "answer": answer, "count": 1}
    fleet.process.set_faults(ghost | {"service": name})

    with pytest.raises((BotoCoreError, ClientError)):
        fleet.update(name, desiredCount=1)

    assert fleet.describe(name)["desiredCount"] == 0
    fleet.update(name, desiredCount=0)
    wait_until(lambda: fleet.describe(name)["desiredCount"] == 1)


def test_a_rule_applies_as_often_as_it_says(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    rule = {"kind": "throttle", "action": "Describe*", "service": name}

    def outcomes() -> list[bool]:
        found = []
        for _ in range(12):
            try:
                fleet.describe(name)
                found.append(False)
            except ClientError:
                found.append(True)
        return found

    fleet.process.set_faults(rule | {"count": 2})
    assert outcomes() == [True] * 2 + [False] * 10
    fleet.process.set_faults(rule | {"probability": 0.5, "seed": 7})
    first = outcomes()
    fleet.process.set_faults(rule | {"probability": 0.5, "seed": 7})
    assert outcomes() == first
    assert {True, False} == set(first)


def test_the_real_quotas_can_be_enforced(fleet: Fleet) -> None:
    """Changes of task definitions have the smallest quota: a burst of 20, then one per second."""
    definition = fleet.define()
    fleet.process.set_faults({"kind": "quotas"})

    def calls_until_throttled() -> int:
        number = 0
        while True:
            try:
                fleet.ecs.deregister_task_definition(taskDefinition=definition)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ThrottlingException"
                return number
            number += 1

    assert calls_until_throttled() >= 20
    fleet.ecs.describe_task_definition(taskDefinition=definition)


def test_log_calls_can_fail_too(fleet: Fleet) -> None:
    fleet.process.set_faults({"kind": "throttle", "action": "FilterLogEvents", "count": 1})

    assert error_of(lambda: fleet.logs.filter_log_events(logGroupName=GROUP)) == (400, "ThrottlingException")


def test_calls_are_recorded(fleet: Fleet) -> None:
    name = fleet.given()
    fleet.stop(fleet.task(name))
    with pytest.raises(ClientError):
        fleet.update("dep-unknown", desiredCount=0)

    created, stopped, failed = fleet.process.calls("CreateService", "StopTask", "UpdateService")[-3:]

    assert (created["services"], created["status"], created["error"]) == ([name], 200, None)
    assert stopped["services"] == [name]
    assert (failed["status"], failed["error"]) == (400, "ServiceNotFoundException")
    assert created["time"] < stopped["time"] < failed["time"]
    fleet.process.clear_calls()
    assert fleet.process.calls() == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"kind": "earthquake"}], "kind is one of"),
        ([{"kind": "cut", "servise": "x"}], "unknown fields: servise"),
        ([{"kind": "error", "status": 404}], "status is 500 or 503"),
        ([{"kind": "delay", "seconds": "long"}], "seconds is a number"),
        ({"kind": "cut"}, "send a list"),
    ],
    ids=str,
)
def test_an_invalid_rule_is_refused(fleet: Fleet, rules: object, words: str) -> None:
    status, body = fleet.process.try_request("PUT", "/_chargehand/faults", rules)

    assert status == 422
    assert words in body["detail"]
    assert fleet.process.faults() == []


# Launches


def test_an_image_that_cannot_be_pulled(fleet: Fleet) -> None:
    fleet.process.set_faults({"kind": "cannot_pull_image", "service": "dep-pull-*"})
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    name = fleet.create(fleet.define(), "dep-pull-1", deploymentConfiguration=STOP_FIRST | breaker)

    wait_until(lambda: fleet.describe(name)["deployments"][0]["rolloutState"] == "FAILED")

    for task in fleet.stopped_tasks(name):
        assert task["stopCode"] == "TaskFailedToStart"
        assert task["stoppedReason"].startswith("CannotPullContainerError: ")
        assert task["containers"][0]["reason"] == task["stoppedReason"]
        assert "startedAt" not in task
    fleet.process.set_faults()
    fleet.update(name, forceNewDeployment=True)
    fleet.until_steady(name)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("no_capacity", "Capacity is unavailable at this time"), ("vcpu_quota", "limit on the number of vCPUs")],
)
def test_a_task_that_cannot_be_placed(fleet: Fleet, kind: str, words: str) -> None:
    fleet.process.set_faults({"kind": kind, "service": f"dep-{kind}"})
    name = fleet.create(fleet.define(), f"dep-{kind}")

    event = wait_until(lambda: next((each for each in fleet.events(name) if words in each), ""))

    assert event.startswith(f"(service {name}) was unable to place a task. Reason: ")
    assert fleet.counts(name) == (1, 0, 0)
    assert fleet.stopped_tasks(name) == []
    fleet.process.set_faults()
    fleet.until_running(name)


def test_a_task_that_exits_at_once(fleet: Fleet) -> None:
    fleet.process.set_faults({"kind": "exit_at_once", "exit_code": 78, "service": "dep-exits"})
    name = fleet.create(fleet.define(), "dep-exits")

    [task] = wait_until(lambda: fleet.stopped_tasks(name))[:1]

    assert task["stopCode"] == "EssentialContainerExited"
    assert task["containers"][0]["exitCode"] == 78
    fleet.process.set_faults()
    fleet.until_steady(name)


def test_a_slow_start_shows_a_pending_task(fleet: Fleet) -> None:
    fleet.process.set_faults({"kind": "slow_start", "seconds": 0.6, "service": "dep-slow"})
    name = fleet.create(fleet.define(), "dep-slow")

    wait_until(lambda: fleet.counts(name) == (1, 0, 1))
    task = fleet.describe_task(fleet.task(name))
    assert (task["lastStatus"], task["desiredStatus"]) == ("PENDING", "RUNNING")
    fleet.until_running(name)
    started = fleet.describe_task(fleet.task(name))
    assert (started["startedAt"] - started["createdAt"]).total_seconds() >= 0.6


def test_a_pending_task_can_be_stopped_and_starts_when_the_rule_goes(fleet: Fleet) -> None:
    fleet.process.set_faults({"kind": "slow_start", "seconds": 60, "service": "dep-very-slow"})
    name = fleet.create(fleet.define(), "dep-very-slow")
    wait_until(lambda: fleet.counts(name) == (1, 0, 1))
    pending = fleet.task(name)

    fleet.stop(pending)

    stopped = fleet.until_stopped(pending)
    assert "exitCode" not in stopped["containers"][0]
    wait_until(lambda: fleet.counts(name) == (1, 0, 1))
    fleet.process.set_faults()
    fleet.until_running(name)
