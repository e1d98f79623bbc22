"""What another process must know to work for a running stack."""

import pytest

from embedded.joining import joining_environment
from tests.conftest import environment


def test_a_joining_process_gets_what_decides_where_it_works_and_no_secret_of_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = {
        **environment("postgresql://db/chargehand", "redis://broker/0"),
        "BROKER_URL": "amqp://broker",
        "AWS_ENDPOINT_URL": "http://ecs",
        "ECS_CLUSTER": "chargers",
        "SWEEP_SECONDS": "3",
        "BIND": "127.0.0.1:8000",
    }
    for name, value in shared.items():
        monkeypatch.setenv(name, value)

    joining = joining_environment({**shared, "HOME": "/home/somebody"})

    assert joining == {name: value for name, value in shared.items() if name not in {"JWT_SECRET", "BIND"}}
