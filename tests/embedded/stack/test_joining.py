"""The variables that belong to a stack, and those with which another process joins it."""

import pytest

from embedded.stack.joining import belongs_to_a_stack, joining_environment, leads_elsewhere
from tests.support.environment import environment


def test_a_joining_process_gets_the_stacks_servers_and_not_the_secrets_that_only_the_api_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = {
        **environment("postgresql://db/chargehand", "redis://broker/0"),
        "BROKER_URL": "amqp://broker",
        "AWS_ENDPOINT_URL": "http://ecs",
        "ECS_CLUSTER": "chargers",
        "SWEEP_SECONDS": "3",
        "BIND": "127.0.0.1:8000",
        "LINK_BIND": "127.0.0.1:8100",
        "CONTROL_URL": "ws://127.0.0.1:8100/control",
        "CONTROL_SECRET": "a-secret-of-the-link",
    }
    for name, value in shared.items():
        monkeypatch.setenv(name, value)

    joining = joining_environment({**shared, "HOME": "/home/somebody"})

    of_the_api = {"JWT_SECRET", "ENCRYPTION_KEYS", "BIND", "LINK_BIND"}
    assert joining == {name: value for name, value in shared.items() if name not in of_the_api}


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "REDIS_URL", "BROKER_URL", "JWT_SECRET", "FLOWER_BASIC_AUTH"]
)
def test_a_variable_belongs_to_a_stack_by_value_and_by_file(name: str) -> None:
    assert belongs_to_a_stack(name)
    assert belongs_to_a_stack(f"{name}_FILE")


def test_the_variables_of_its_ports_belong_to_a_stack_and_those_of_others_do_not() -> None:
    assert all(belongs_to_a_stack(name) for name in ("PORT", "CSMS_PORT", "BIND", "STATE_DIR", "WORKERS"))
    assert not any(
        belongs_to_a_stack(name) for name in ("PATH", "HOME", "SSL_CERT_FILE", "DATABASE_URL_OF_MINE")
    )


def test_a_terminal_that_joins_loses_only_what_leads_elsewhere() -> None:
    joining = {"DATABASE_URL": "postgresql://db", "BROKER_URL": "amqp://broker"}

    for name in ("DATABASE_URL_FILE", "BROKER_URL_FILE", "REDIS_URL", "AWS_PROFILE"):
        assert leads_elsewhere(name, joining)
    for name in ("DATABASE_URL", "PORT", "JWT_SECRET_FILE", "CHARGEHAND_URL"):
        assert not leads_elsewhere(name, joining)
