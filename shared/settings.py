"""The settings, as the other modules read them. shared/startup/environment.py reads them from the environment."""

from dataclasses import dataclass, field
from typing import Literal

from shared.destinations import Destinations
from shared.vocabulary import Placement

Environment = Literal["production", "embedded"]

ALGORITHMS = ("HS256", "RS256", "ES256")


class SettingsError(Exception):
    """A variable is missing or wrong. The message is one line that names it."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """How bearer tokens are verified. Exactly one of secret, public_key and jwks_url is used."""

    algorithm: str  #: the only one accepted; never taken from a token
    secret: str = field(repr=False)  #: HS256
    public_key: str = field(repr=False)  #: RS256 or ES256, PEM
    jwks_url: str  #: RS256 or ES256
    issuer: str  #: checked when set
    audience: str  #: checked when set
    max_age_s: int  #: a token with a longer validity is refused; 0 allows any


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The control link: how chargers reach it, and where its processes listen."""

    url: str  #: that chargers connect to; empty when chargers run without the link
    ca_file: str  #: in the chargers' image: the CA certificates with which they verify `url`; empty for the system's
    secrets: tuple[str, ...] = field(repr=False)  #: of its tokens; the first signs, all verify
    bind: str  #: address of a link process
    max_sessions: int  #: of a link process; it refuses further ones


@dataclass(frozen=True, slots=True)
class EcsSettings:
    """Where and how the chargers run on Amazon ECS."""

    region: str  #: empty when boto3 finds it in a profile: see worker/ecs/aws_settings.py
    cluster: str
    launch_type: str  #: FARGATE, EC2 or EXTERNAL; ignored when capacity_providers is set
    capacity_providers: tuple[str, ...]
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    assign_public_ip: bool
    cpu: str  #: CPU units of the task, 256 is a quarter of a vCPU
    memory: str  #: MiB of the task
    image: str
    execution_role_arn: str
    task_role_arn: str
    log_group: str
    name_prefix: str  #: of service and family names, before the charger id
    tags: dict[str, str]
    max_connections: int  #: threads of a worker, and its concurrent calls; -c takes precedence
    connect_timeout_s: float
    read_timeout_s: float
    installation: str  #: the name of an ECS that is not Amazon's; empty uses its address
    charger_environment: dict[str, str]  #: for every charger, beside what its row says
    control: ControlSettings  #: how every charger reaches the control link


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """The share of Amazon's rate quotas for the ECS API that all workers together use."""

    redis_url: str = field(repr=False)  #: holds the shared budget; without it each worker has its own
    share: float  #: of each quota, 0 to 1; 0 switches the budget off
    quotas: dict[
        str, str
    ]  #: quotas that AWS has raised, as RATE/BURST, by the names of worker.ecs.budget.QUOTAS


@dataclass(frozen=True, slots=True)
class Retention:
    """How long old rows stay in the database before they are pruned."""

    log_days: int  #: of frames and events
    deleted_log_days: int  #: of a charger's frames after its deletion
    command_days: int  #: of commands after they are final
    action_days: int  #: of actions after they are final
    commands_per_charger: int  #: the newest are kept


@dataclass(frozen=True, slots=True)
class Timing:
    """Periods of the maintenance tasks, and deadlines. In seconds unless the name has another unit."""

    sweep_every_s: float  #: how often commands that have not moved are published again
    observe_every_s: float  #: chargers in transition
    observe_settled_every_s: float  #: all others
    settle_s: float  #: how long one task must have been observed running before a command succeeds
    logs_every_s: float
    log_overlap_s: float  #: how far behind the newest line late lines are read
    late_logs_every_s: float  #: how often the last hours are read again for later lines; 0 for never
    late_logs_hours: float  #: how many hours
    log_lag_s: float  #: a link's state is marked stale when the logs are read later than this
    rollout_per_minute: float  #: chargers that a rollout redeploys; 0 pauses it
    stale_after_s: float  #: an observation older than this is marked stale
    command_deadline_s: float  #: a command that ECS has not accepted by then fails
    provisioning_deadline_s: float  #: a new charger that does not run by then fails
    host_empty_s: float  #: a host without a charger is removed after it


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process."""

    environment: Environment
    database_url: str = field(repr=False)
    database_pool_size: int
    broker_url: str = field(repr=False)
    bind: str  #: address of the API
    api_processes: int
    keep_alive_s: int  #: of an idle connection; longer than a load balancer's idle time-out
    redis_url: str = field(
        repr=False
    )  #: for state that processes share; empty when the broker is no Redis and REDIS_URL is not set
    encryption_keys: tuple[str, ...] = field(repr=False)  #: of secrets in the database; the first seals
    rate_limit: str  #: of each organization, as 50/second; empty for none
    event_streams: int  #: open at once, per API process
    event_streams_per_organization: int  #: of those
    waits: int  #: requests that may wait at once, per API process; further ones are answered at once
    waits_per_organization: int  #: of those
    chargers_per_organization: int  #: a further create is refused
    default_placement: Placement  #: of a new charger whose client chooses none
    host_capacity: int  #: chargers that a new host may have
    open_commands_per_organization: int  #: not final; a further command is refused
    open_actions_per_organization: int  #: not final; a further request for actions is refused
    open_jobs_per_organization: int  #: not final; a further job is refused
    log_page_bytes: int  #: messages in one page of a charger's logs
    cors_origins: tuple[str, ...]  #: of pages, besides our own, that may call the API
    flower_url: str  #: where people find Flower; empty for nowhere
    csms_url: str  #: that the dashboard proposes for the first charger; empty for none
    publisher_buffer: int  #: messages that may wait for the broker, per API process
    log_format: str  #: json or console
    log_level: str
    log_bytes_per_organization: int  #: frames kept of one day (UTC); 0 keeps all
    retention: Retention
    destinations: Destinations  #: where chargers may connect
    tokens: TokenSettings
    control: ControlSettings
    ecs: EcsSettings
    budget: BudgetSettings
    timing: Timing

    @property
    def embedded(self) -> bool:
        """True under `make run`: a laptop, with an ECS of local processes."""
        return self.environment == "embedded"
