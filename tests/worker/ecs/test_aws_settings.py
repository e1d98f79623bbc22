"""AWS's own settings are read as boto3 reads them, or a worker refuses them in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import Settings, SettingsError
from shared.startup.environment import load_settings
from tests.support.environment import environment
from worker.ecs.aws_settings import NO_REGION, with_region
from worker.ecs.requests import container
from worker.resources import Process
from worker.startup.installation import services_of

CONFIG = """\
[default]
region = eu-north-1
[profile work]
region = eu-west-3
[profile bare]
output = json
[profile bundled]
region = eu-west-3
ca_bundle = /no/such/bundle
"""


@pytest.fixture(autouse=True)
def profiles(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' settings, but for AWS's."""
    for name in [name for name in os.environ if name.startswith("AWS_") and "KEY" not in name]:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-central-1"}, "eu-central-1"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "eu-central-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-central-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-central-1"}, "eu-central-1"),
        ({"AWS_PROFILE": "work"}, "eu-west-3"),
        ({"AWS_PROFILE": "work", "AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
        ({}, "eu-north-1"),
    ],
)
def test_the_region_is_the_one_that_boto3_finds_for_all_that_needs_it(
    variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    resources = Process().resources()
    definition = container(resources.settings.ecs, "dep-1", {})

    assert definition["logConfiguration"]["options"]["awslogs-region"] == region
    assert (
        services_of(resources.settings.ecs, resources.ecs.endpoint_url, lambda requested: requested).account
        == region
    )
    assert resources.ecs.endpoint_url == f"https://ecs.{region}.amazonaws.com"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"AWS_PROFILE": "bare"}, NO_REGION),
        ({"AWS_CONFIG_FILE": "/no/such/file"}, NO_REGION),
        ({"AWS_PROFILE": "nobody"}, "AWS_*: The config profile (nobody) could not be found"),
        ({"AWS_REGION": "eu central 1"}, "AWS_*: Provided region_name 'eu central 1' doesn't match"),
        (
            {"AWS_PROFILE": "bundled"},
            "AWS_CA_BUNDLE, or ca_bundle of the profile, cannot be read: /no/such/bundle",
        ),
        (
            {"AWS_CA_BUNDLE": "/no/bundle"},
            "AWS_CA_BUNDLE, or ca_bundle of the profile, cannot be read: /no/bundle",
        ),
        ({"AWS_ENDPOINT_URL": "ecs.local"}, "AWS_*: Invalid endpoint: ecs.local"),
        ({"AWS_ENDPOINT_URL_ECS": "ecs.local"}, "AWS_*: Invalid endpoint: ecs.local"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_*: Partial credentials found in env, missing: AWS_S"),
        ({"AWS_STS_REGIONAL_ENDPOINTS": "x", "AWS_DEFAULTS_MODE": "x"}, "AWS_*: "),
    ],
)
def test_what_boto3_cannot_use_is_refused_in_one_line(
    variables: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refused:
        Process().resources()

    assert str(refused.value).startswith(reason)
    assert len(str(refused.value).splitlines()) == 1


def test_a_region_that_is_given_is_taken_as_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "xx-newest-9")

    assert with_region(load_settings().ecs).region == "xx-newest-9"


def test_a_worker_without_a_region_says_so_in_one_line_and_ends() -> None:
    variables = environment("postgresql://u@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    variables |= {"AWS_REGION": "", "AWS_CONFIG_FILE": "/no/such/file", "PATH": os.environ["PATH"]}
    argv = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "-c", "1"]

    ended = subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stderr) == (1, f"Error: {NO_REGION}\n")
