"""The embedded ECS runs tasks as its owner's user, so it serves only its owner."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from embedded.ecs.authentication import basic
from embedded.ecs.process import TESTS
from embedded.ports import HOST
from tests.support.ecs_services import CLUSTER, Fleet, new_name

LIST = "AmazonEC2ContainerServiceV20141113.ListServices"
DELETE = "AmazonEC2ContainerServiceV20141113.DeleteCluster"
BODY = json.dumps({"cluster": CLUSTER}).encode()


@pytest.fixture
def connection(fleet: Fleet) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(HOST, fleet.process.port, timeout=10)
    yield connection
    connection.close()


def send(
    connection: HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, Any]:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else None


def signed(port: int, target: str = LIST) -> dict[str, str]:
    """The headers of a call by the owner, as botocore makes them."""
    request = AWSRequest("POST", f"http://{HOST}:{port}/", {"X-Amz-Target": target}, BODY)
    SigV4Auth(Credentials(TESTS.access_key_id, TESTS.secret_access_key), "ecs", "us-east-1").add_auth(request)
    return {"Host": f"{HOST}:{port}", **dict(request.headers.items())}


def test_a_signature_of_the_owner_is_accepted(fleet: Fleet, connection: HTTPConnection) -> None:
    status, answer = send(connection, "POST", "/", signed(fleet.process.port), BODY)

    assert (status, list(answer)) == (200, ["serviceArns"])


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [
        ("tests", "guessed", "InvalidSignatureException"),
        ("tests", "test", "InvalidSignatureException"),
        ("embedded", "embedded", "UnrecognizedClientException"),
    ],
)
def test_a_client_without_the_owners_secret_changes_nothing(
    fleet: Fleet, key: str, secret: str, code: str
) -> None:
    """The access key id alone proves nothing: it may be in a log."""
    stranger = boto3.Session(key, secret, region_name="us-east-1")
    name = new_name()

    ecs = stranger.client("ecs", endpoint_url=fleet.process.endpoint_url)
    logs = stranger.client("logs", endpoint_url=fleet.process.endpoint_url)
    calls: list[Callable[[], object]] = [
        lambda: ecs.register_task_definition(family=name, containerDefinitions=[]),
        ecs.list_clusters,
        lambda: logs.filter_log_events(logGroupName="/chargehand/chargers"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as refusal:
            call()
        assert refusal.value.response["Error"]["Code"] == code

    assert fleet.ecs.list_task_definition_families(familyPrefix=name)["families"] == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Authorization": None}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer tests"}, "IncompleteSignatureException"),
        ({"X-Amz-Target": DELETE}, "InvalidSignatureException"),
        ({"X-Amz-Date": "20260101T000000Z"}, "InvalidSignatureException"),
        ({"Host": "localhost:1"}, "InvalidSignatureException"),
    ],
)
def test_a_signed_call_with_a_change_is_refused(
    fleet: Fleet, connection: HTTPConnection, changed: dict[str, str | None], code: str
) -> None:
    headers = {**signed(fleet.process.port), **changed}

    status, answer = send(
        connection, "POST", "/", {name: value for name, value in headers.items() if value}, BODY
    )

    assert (status, answer["__type"]) == (403 if code == "InvalidSignatureException" else 400, code)


def test_another_body_under_the_signature_is_refused(fleet: Fleet, connection: HTTPConnection) -> None:
    status, answer = send(connection, "POST", "/", signed(fleet.process.port), BODY.replace(b"c", b"d", 1))

    assert (status, answer["__type"]) == (403, "InvalidSignatureException")


def test_a_signature_that_leaves_the_action_out_is_refused(fleet: Fleet, connection: HTTPConnection) -> None:
    request = AWSRequest("POST", f"{fleet.process.endpoint_url}/", {}, BODY)
    SigV4Auth(Credentials(TESTS.access_key_id, TESTS.secret_access_key), "ecs", "us-east-1").add_auth(request)
    headers = {
        "Host": f"{HOST}:{fleet.process.port}",
        **dict(request.headers.items()),
        "X-Amz-Target": DELETE,
    }

    status, answer = send(connection, "POST", "/", headers, BODY)

    assert (status, answer["__type"]) == (403, "InvalidSignatureException")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(
    fleet: Fleet, connection: HTTPConnection, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    def then(*_: object) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)

    monkeypatch.setattr("botocore.auth.get_current_datetime", then)

    status, answer = send(connection, "POST", "/", signed(fleet.process.port), BODY)

    assert (status, answer["__type"]) == (403, "InvalidSignatureException")
    assert answer["message"].startswith("Signature expired")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "[", ""]
)
@pytest.mark.parametrize("path", ["/", "/_chargehand/health", "/_chargehand/faults"])
def test_a_page_whose_name_leads_to_this_machine_is_refused(
    connection: HTTPConnection, host: str, path: str
) -> None:
    """DNS rebinding: the browser connects to our address, and sends the page's name as Host."""
    headers = {"Host": host, "Authorization": basic(TESTS)}

    status, answer = send(connection, "POST" if path == "/" else "GET", path, headers)

    assert (status, answer["__type"]) == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_chargehand/tasks"),
        ("GET", "/_chargehand/calls"),
        ("DELETE", "/_chargehand/calls"),
        ("GET", "/_chargehand/faults"),
        ("PUT", "/_chargehand/faults"),
        ("DELETE", "/_chargehand/faults"),
        ("GET", "/elsewhere"),
    ],
)
@pytest.mark.parametrize("authorization", ["", "Basic dGVzdHM6", "Bearer tests", "Basic tests:tests"])
def test_the_control_routes_need_the_owners_credentials(
    fleet: Fleet, connection: HTTPConnection, method: str, path: str, authorization: str
) -> None:
    body = json.dumps([{"kind": "throttle"}]).encode() if method == "PUT" else b""

    status, _ = send(connection, method, path, {"Authorization": authorization}, body)

    assert status == 401
    assert fleet.process.faults() == []


def test_the_health_check_needs_no_credentials(connection: HTTPConnection) -> None:
    """A container's health check has no secret."""
    assert send(connection, "GET", "/_chargehand/health", {}) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "LD_PRELOAD",
        "PATH",
        "HOME",
        "SSL_CERT_FILE",
        "charger_x",
        "CHARGER_",
        "XCHARGER_A",
        "CHARGER_A\nB",
        "",
    ],
)
def test_a_task_definition_sets_nothing_but_the_chargers_variables(fleet: Fleet, name: str) -> None:
    with pytest.raises(ClientError) as refusal:
        fleet.define(None, 10, **{"CHARGER_IDENTITY": "CP-1", name: "/tmp/evil"})

    error = refusal.value.response["Error"]
    assert error["Code"] == "ClientException"
    assert "a task definition may set CHARGER_*" in error["Message"]


@pytest.mark.parametrize("command", [["sh", "-c", "id"], ["python", "-m", "simulator"], ["python"]])
def test_a_task_definition_runs_nothing_but_chargers(fleet: Fleet, command: list[str]) -> None:
    with pytest.raises(ClientError) as refusal:
        fleet.ecs.register_task_definition(
            family="any",
            containerDefinitions=[{"name": "any", "image": "any", "memory": 16, "command": command}],
        )

    assert "a command may be python -m simulator.host" in refusal.value.response["Error"]["Message"]


def test_without_a_secret_it_does_not_start(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "embedded.ecs", "--state-dir", str(tmp_path)],
        env={"PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": "somebody"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert ended.returncode == 1
    assert ended.stderr == "Error: AWS_SECRET_ACCESS_KEY must be set: callers of this ECS need both\n"
