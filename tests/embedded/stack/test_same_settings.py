"""New ports, credentials and folders of a `make run` are no settings of chargers, so no charger restarts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.stack.environment import share_environment
from embedded.stack.programs import Addresses
from shared.startup.environment import load_settings
from tests.support.environment import JWT_SECRET
from worker.ecs.aws_settings import with_region
from worker.ecs.client import EcsClient
from worker.reconcile.provision import fleet_spec


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def spec_of_a_start(folder: Path, port: int) -> str:
    folder.mkdir(mode=0o700)
    addresses = Addresses(
        api=f"http://127.0.0.1:{port}",
        flower=f"http://127.0.0.1:{port + 1}",
        csms=f"ws://127.0.0.1:{port + 2}",
        ecs=f"http://127.0.0.1:{port + 3}",
        link="ws://127.0.0.1:8100/control",  # its port is kept
        database=f"postgresql://chargehand:secret@127.0.0.1:{port + 4}/chargehand",
        redis=f"redis://:secret@127.0.0.1:{port + 5}/0",
    )
    os.environ |= {"JWT_SECRET": JWT_SECRET, "CONTROL_SECRET": JWT_SECRET}
    share_environment(addresses, folder)
    return fleet_spec(EcsClient(with_region(load_settings().ecs)))


def test_a_restart_with_other_ports_and_credentials_rolls_nothing_out(tmp_path: Path) -> None:
    first = spec_of_a_start(tmp_path / "first", 20_000)
    key = os.environ["AWS_ACCESS_KEY_ID"]

    second = spec_of_a_start(tmp_path / "second", 30_000)

    assert os.environ["AWS_ACCESS_KEY_ID"] != key
    assert second == first


def test_the_stack_proposes_its_own_csms_for_the_first_charger(tmp_path: Path) -> None:
    os.environ["CSMS_URL"] = "ws://127.0.0.1:1/of-another-stack"

    spec_of_a_start(tmp_path / "first", 20_000)

    assert load_settings().csms_url == "ws://127.0.0.1:20002"


def test_a_restart_with_another_rule_for_destinations_is_rolled_out(tmp_path: Path) -> None:
    first = spec_of_a_start(tmp_path / "first", 20_000)
    os.environ["WS_URL_DENY"] = "private"

    assert spec_of_a_start(tmp_path / "second", 20_000) != first
