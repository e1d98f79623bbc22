"""The settings of boto3: check those that it finds for itself, and set time-outs and retries."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import validate_region_name

from shared.settings import EcsSettings, SettingsError

ATTEMPTS = 2  # of botocore, within a call; longer waits are a delay on the row
MAX_GROWTH = (
    4  # times its threads at the start, to which a worker may grow: there are connections for so many
)

NO_REGION = (
    "AWS_REGION is not set, and neither AWS_DEFAULT_REGION nor the profile names a region: set AWS_REGION, "
    'or beside make run take over its environment: eval "$(chargehand env)"'
)


def with_region(settings: EcsSettings) -> EcsSettings:
    """The settings with the region that boto3 finds if AWS_REGION is not set. Raises SettingsError."""
    with refused_in_one_line():
        session = boto3.session.Session(region_name=settings.region or None)
        region = session.region_name
        if not region:
            raise SettingsError(NO_REGION)
        validate_region_name(region)
        _check_bundle(session)
        # Only those of the environment: boto3 reads the other sources when a call needs them, and some are slow.
        session._session.get_component("credential_provider").get_provider("env").load()
    return replace(settings, region=region)


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    """Raise an error of AWS's clients about their settings as a SettingsError of one line."""
    try:
        yield
    except (
        BotoCoreError,
        ValueError,
    ) as error:  # botocore's complaint about an endpoint is a bare ValueError
        raise SettingsError(f"AWS_*: {' '.join(str(error).split())}") from error


def _check_bundle(session: boto3.session.Session) -> None:
    bundle = session._session.get_config_variable("ca_bundle")
    if bundle and not os.access(bundle, os.R_OK):
        raise SettingsError(f"AWS_CA_BUNDLE, or ca_bundle of the profile, cannot be read: {bundle}")


def client_config(settings: EcsSettings) -> Config:
    """Time-outs and retries of botocore that are below all of ours: its defaults wait for minutes."""
    return Config(
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=settings.max_connections * MAX_GROWTH,
        tcp_keepalive=True,
        user_agent=f"chargehand/{version('chargehand')}",  # botocore would build its own twice for each call
    )
