"""Whatever ECS or the network does, a call ends in success, EcsUnavailable or EcsRejected; nothing else.

The faults are real: the embedded ECS spoils its answers, and what it cannot say a small server says.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from embedded.ports import HOST, free_port
from shared.error_codes import ErrorCode
from shared.settings import EcsSettings
from tests.support.embedded_ecs import Embedded, client_at
from tests.support.waiting import wait_until
from worker.ecs.client import EcsClient, EcsRejected, EcsUnavailable, TaskDefinitionMissing


@dataclass(frozen=True)
class Given:
    """A service with its definition and a task, and the client that calls ECS about them."""

    ecs: EcsClient
    charger_id: str
    definition: str
    task: str


@pytest.fixture
def given(embedded: Embedded) -> Given:
    charger_id = f"dep-{uuid4().hex[:12]}"
    definition = embedded.ecs.ensure_task_definition(charger_id, {"CHARGER_IDENTITY": "CP-1"}, {})
    ensure(embedded.ecs, charger_id, definition, exists=False)
    task = wait_until(lambda: embedded.ecs.current_task(charger_id))
    assert task is not None
    return Given(embedded.ecs, charger_id, definition, task)


def ensure(ecs: EcsClient, charger_id: str, definition: str, *, exists: bool) -> object:
    return ecs.ensure_service(
        charger_id,
        desired_count=1,
        task_definition_arn=definition,
        generation=1,
        tags={},
        exists=exists,
    )


#: The AWS action that is spoiled, and what of ours needs it.
CALLS: dict[str, Callable[[Given], object]] = {
    "ListTaskDefinitions": lambda given: given.ecs.ensure_task_definition(
        given.charger_id, {"CHARGER_A": "1"}, {}
    ),
    "DescribeTaskDefinition": lambda given: given.ecs.ensure_task_definition(
        given.charger_id, {"CHARGER_A": "1"}, {}
    ),
    "RegisterTaskDefinition": lambda given: given.ecs.ensure_task_definition(
        given.charger_id, {"CHARGER_A": "1"}, {}
    ),
    "DeregisterTaskDefinition": lambda given: given.ecs.delete_task_definitions(
        given.ecs.task_definitions(given.charger_id)
    ),
    "DeleteTaskDefinitions": lambda given: given.ecs.delete_task_definitions(
        given.ecs.task_definitions(given.charger_id)
    ),
    "UpdateService": lambda given: ensure(given.ecs, given.charger_id, given.definition, exists=True),
    "CreateService": lambda given: ensure(given.ecs, f"{given.charger_id}-2", given.definition, exists=False),
    "DeleteService": lambda given: given.ecs.delete_service(given.charger_id),
    "DescribeServices": lambda given: given.ecs.describe_services([given.charger_id]),
    "ListTasks": lambda given: given.ecs.current_task(given.charger_id),
    "DescribeTasks": lambda given: given.ecs.describe_tasks([given.task]),
    "StopTask": lambda given: given.ecs.stop_task(given.task, reason="restart"),
}
FAULTS: dict[str, dict[str, Any]] = {
    "throttled": {"kind": "throttle"},
    "a 500": {"kind": "error", "status": 500},
    "a 503": {"kind": "error", "status": 503},
    "no answer": {"kind": "cut"},
    "done, and no answer": {"kind": "apply_then_cut"},
    "half an answer": {"kind": "truncated"},
    "an empty answer": {"kind": "empty"},
}


@pytest.mark.parametrize("action", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_call_is_unavailable_and_never_a_success(
    embedded: Embedded, given: Given, action: str, fault: str
) -> None:
    embedded.process.set_faults({**FAULTS[fault], "action": action})

    with pytest.raises(EcsUnavailable) as raised:
        CALLS[action](given)

    assert str(raised.value)


@pytest.mark.parametrize("fault", ["delay", "apply_then_delay"])
def test_an_answer_that_comes_too_late_is_unavailable_in_bounded_time(
    embedded: Embedded, given: Given, fault: str
) -> None:
    embedded.process.set_faults({"kind": fault, "action": "UpdateService", "seconds": 3})
    began = time.monotonic()

    with pytest.raises(EcsUnavailable):
        CALLS["UpdateService"](given)

    assert time.monotonic() - began < 2


def test_a_call_whose_answer_was_lost_can_be_repeated(embedded: Embedded, given: Given) -> None:
    for action in ("CreateService", "StopTask", "DeregisterTaskDefinition"):
        embedded.process.set_faults({"kind": "apply_then_cut", "action": action})
        with pytest.raises(EcsUnavailable):
            CALLS[action](given)

        embedded.process.set_faults()
        CALLS[action](given)


def test_services_that_ecs_calls_missing_are_none_and_the_others_are_returned(
    embedded: Embedded, given: Given
) -> None:
    """ECS may call a service MISSING that exists: a caller that acts on it must call twice."""
    embedded.process.set_faults({"kind": "missing", "action": "DescribeServices"})

    views = given.ecs.describe_services([given.charger_id])

    assert views == {given.charger_id: None}


@pytest.mark.parametrize("call", [EcsClient.delete_service, EcsClient.remaining_service])
def test_one_wrong_missing_does_not_pass_for_a_deletion(
    embedded: Embedded, given: Given, call: Callable[[EcsClient, str], object]
) -> None:
    embedded.process.set_faults({"kind": "missing", "action": "DescribeServices"})

    with pytest.raises(EcsUnavailable, match="not found"):
        call(given.ecs, given.charger_id)


def test_a_refused_connection_is_unavailable(ecs_settings: EcsSettings) -> None:
    ecs = client_at(f"http://{HOST}:{free_port()}", ecs_settings)

    with pytest.raises(EcsUnavailable, match="DescribeServices"):
        ecs.describe_services(["dep-1"])


@dataclass
class Oracle:
    """A server that answers every call alike."""

    status: int = 200
    body: Any = field(default_factory=dict)

    def refuses(self, status: int, code: str, message: str) -> None:
        self.status, self.body = status, {"__type": code, "message": message}


@pytest.fixture(scope="module")
def oracle(ecs_settings: EcsSettings) -> Iterator[tuple[Oracle, EcsClient]]:
    oracle = Oracle()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(oracle.body).encode()
            self.send_response(oracle.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://{HOST}:{server.server_port}"
    yield oracle, client_at(url, replace(ecs_settings, read_timeout_s=2))
    server.shutdown()
    server.server_close()
    thread.join()


def update(ecs: EcsClient) -> object:
    return ensure(ecs, "dep-1", "arn:aws:ecs:us-east-1:123456789012:task-definition/dep-1:1", exists=True)


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (400, "AccessDeniedException", "User is not authorized to perform", ErrorCode.ACCESS_DENIED),
        (400, "UnrecognizedClientException", "The security token is invalid", ErrorCode.ACCESS_DENIED),
        (
            400,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
            " Access Key and signing method.",
            ErrorCode.ACCESS_DENIED,
        ),
        (400, "ClusterNotFoundException", "Cluster not found.", ErrorCode.PROVIDER_REJECTED),
        (400, "InvalidParameterException", "Subnets can not be empty.", ErrorCode.PROVIDER_REJECTED),
        (400, "ClientException", "Container.image should not be null.", ErrorCode.PROVIDER_REJECTED),
        (400, "UnsupportedFeatureException", "Not in this region", ErrorCode.PROVIDER_REJECTED),
        (400, "LimitExceededException", "The limit for services is reached", ErrorCode.QUOTA_EXCEEDED),
    ],
)
def test_a_refusal_for_good_is_rejected_with_its_code(
    oracle: tuple[Oracle, EcsClient], status: int, code: str, message: str, expected: ErrorCode
) -> None:
    server, ecs = oracle
    server.refuses(status, code, message)

    with pytest.raises(EcsRejected, match=code) as raised:
        update(ecs)

    assert raised.value.code == expected


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "ThrottlingException", "Rate exceeded"),
        (400, "ExpiredTokenException", "The security token included in the request is expired"),
        (400, "InvalidParameterException", "Unable to Start a service that is still Draining."),
        (400, "InvalidParameterException", "Creation of service was not idempotent."),
        (400, "UpdateInProgressException", "There's already a current update in progress"),
        (500, "ServerException", "Service Unavailable"),
        (502, "Whatever", ""),
        (400, "SomethingNewException", "Amazon has invented it after this release"),
        (
            400,
            "InvalidSignatureException",
            "Signature expired: 20261127T074835Z is now earlier than 20261127T074900Z (20261127T075400Z - 5 min.)",
        ),
        (
            400,
            "InvalidSignatureException",
            "Signature not yet current: 20261127T080000Z is still later than 20261127T075500Z"
            " (20261127T075000Z + 5 min.)",
        ),
        (400, "RequestExpired", "Request has expired."),
        (
            400,
            "ClientException",
            "Too many concurrent attempts to create a new revision of the specified family.",
        ),
        (
            400,
            "InvalidParameterException",
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
        ),
        (
            400,
            "ClientException",
            "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/chargehand-execution' that was"
            " provided for this task. Please verify that the role being passed has the proper trust relationship"
            " and permissions and that your IAM user has permissions to pass this role.",
        ),
    ],
)
def test_what_may_pass_is_unavailable(
    oracle: tuple[Oracle, EcsClient], status: int, code: str, message: str
) -> None:
    server, ecs = oracle
    server.refuses(status, code, message)

    with pytest.raises(EcsUnavailable):
        update(ecs)


@pytest.mark.parametrize(
    "message",
    [
        "TaskDefinition not found.",
        "TaskDefinition is inactive",
        "Unable to describe task definition.",
    ],
)
def test_a_task_definition_that_is_gone_is_recognized_by_its_words(
    oracle: tuple[Oracle, EcsClient], message: str
) -> None:
    server, ecs = oracle
    server.refuses(400, "ClientException", message)

    with pytest.raises(TaskDefinitionMissing):
        update(ecs)


@pytest.mark.parametrize(
    "body",
    [
        {"service": {}},
        {"service": None},
        {"service": {"serviceName": "dep-1", "status": "ACTIVE"}},
        {"service": {"serviceName": "dep-1", "status": "ACTIVE", "desiredCount": 0}},
        {"services": [{}], "failures": [{}]},
        {"services": None, "failures": None},
        [],
        None,
        "text",
        {"taskArns": None, "tasks": [{}], "service": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "call",
    [
        update,
        lambda ecs: ecs.describe_services(["dep-1"]),
        lambda ecs: ecs.current_task("dep-1"),
        lambda ecs: ecs.describe_tasks(["arn:aws:ecs:us-east-1:123456789012:task/c/1"]),
        lambda ecs: ecs.stop_task("arn:aws:ecs:us-east-1:123456789012:task/c/1", reason="restart"),
        lambda ecs: ecs.delete_service("dep-1"),
        lambda ecs: ecs.ensure_task_definition("dep-1", {"CHARGER_A": "1"}, {}),
    ],
    ids=["update", "describe", "current", "tasks", "stop", "delete", "define"],
)
def test_an_answer_that_makes_no_sense_is_unavailable(
    oracle: tuple[Oracle, EcsClient], call: Callable[[EcsClient], object], body: Any
) -> None:
    server, ecs = oracle
    server.status, server.body = 200, body

    with pytest.raises(EcsUnavailable):
        call(ecs)
