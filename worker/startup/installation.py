"""Check that this worker's ECS is the one that the database's chargers run on.

The account comes from STS, which needs no permission. If STS does not answer, the account is compared before the first call
that changes something in ECS; then an answer of ECS may name it too.
"""

import threading
from collections.abc import Callable
from time import monotonic
from urllib.parse import urlsplit

import boto3.session
import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, UnknownRegionError

from shared.database.engine import Sessions
from shared.fleet.installation import CUSTOM, Services, record
from shared.settings import EcsSettings
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import EcsClient, EcsRejected, EcsUnavailable

log = structlog.get_logger(__name__)

STS_TIMEOUT_S = 2
TRY_AGAIN_AFTER_S = 60.0


class WrongEcs(Exception):
    """The message is one line: the ECS of the database, the ECS of this worker, and what to do."""


class Guard:
    """Compares the worker's ECS with the database's at the start, and again until the account is known."""

    def __init__(self, sessions: Sessions, settings: EcsSettings, ecs: EcsClient) -> None:
        self._sessions, self._settings, self._ecs = sessions, settings, ecs
        self._lock = threading.Lock()
        self._known = False
        self._try_at = 0.0

    def check_at_start(self) -> None:
        """Record the ECS of a new database, or compare. Waits a few seconds for STS. Raises WrongEcs and SQLAlchemy's errors."""
        self._compare(account_of_credentials)
        if not self._known:
            log.warning(
                "installation.account_not_checked",
                reason="STS does not answer; the account is compared before the first change at ECS",
            )

    def check_before_change(self) -> None:
        """Raises WrongEcs. While neither STS nor ECS answers, changes are allowed, and the check is repeated once a minute."""
        if self._known:
            return
        with self._lock:
            if not self._known and monotonic() >= self._try_at:
                self._try_at = monotonic() + TRY_AGAIN_AFTER_S
                self._compare(lambda region: account_of_credentials(region) or account_of_ecs(self._ecs))

    def _compare(self, find_account: Callable[[str], str]) -> None:
        mine = services_of(self._settings, self._ecs.endpoint_url, find_account)
        stored = record(self._sessions.autocommit, mine)
        if not stored.may_be(mine):
            raise WrongEcs(refusal(stored, mine))
        self._known = bool(mine.account)


def services_of(settings: EcsSettings, endpoint_url: str, find_account: Callable[[str], str]) -> Services:
    """Where a worker of these settings makes its services. The account is empty if it cannot be found."""
    amazon = is_amazon(endpoint_url)
    return Services(
        partition=partition_of(settings.region) if amazon else CUSTOM,
        region=settings.region,
        account=find_account(settings.region) if amazon else settings.installation or address(endpoint_url),
        cluster=settings.cluster.rsplit("/", 1)[-1],
        name_prefix=settings.name_prefix,
    )


def is_amazon(endpoint_url: str) -> bool:
    """Whether the address is one of Amazon's, VPC endpoints included."""
    host = urlsplit(endpoint_url).hostname or ""
    partitions = botocore.session.get_session().get_data("partitions")["partitions"]
    suffixes = {
        partition["outputs"][name] for partition in partitions for name in ("dnsSuffix", "dualStackDnsSuffix")
    }
    return any(host.endswith(f".{suffix}") for suffix in suffixes)


def partition_of(region: str) -> str:
    try:
        return boto3.session.Session().get_partition_for_region(region)
    except UnknownRegionError:  # newer than the SDK
        return "aws"


def address(endpoint_url: str) -> str:
    """The name of a custom ECS when CHARGEHAND_INSTALLATION is not set: its host and port."""
    url = urlsplit(endpoint_url)
    return f"{url.hostname}-{url.port or url.scheme}"


def account_of_credentials(region: str) -> str:
    """The account by STS. Empty when STS does not answer within a few seconds, or does not know the credentials."""
    waits = Config(
        connect_timeout=STS_TIMEOUT_S, read_timeout=STS_TIMEOUT_S, retries={"total_max_attempts": 1}
    )
    try:
        sts = boto3.session.Session().client("sts", region_name=region, config=waits)
        return str(sts.get_caller_identity().get("Account", ""))
    except (BotoCoreError, ClientError) as error:
        log.info("installation.sts", error=str(error))
        return ""


def account_of_ecs(ecs: EcsClient) -> str:
    """The account by ECS. Empty when ECS does not answer or does not name it."""
    try:
        return ecs.account()
    except (EcsUnavailable, EcsRejected, BudgetSpent) as error:
        log.info("installation.ecs", error=str(error))
        return ""


def refusal(stored: Services, mine: Services) -> str:
    if stored.partition == CUSTOM:
        remedy = 'Take over its environment: eval "$(chargehand env)" beside make run'
    else:
        remedy = "Give this worker the database's AWS_REGION, ECS_CLUSTER, ECS_NAME_PREFIX and account"
    return (
        f"this database's chargers run as {stored}, and this worker would run them as {mine}. {remedy}; "
        f"or, to move them, stop all workers and run: chargehand installation --set '{mine}'"
    )
