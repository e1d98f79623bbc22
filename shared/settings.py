"""What can be set from outside, as the other modules read it. shared/startup/environment.py reads it from the environment."""

from dataclasses import dataclass, field
from typing import Literal

from shared.destinations import Destinations

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
    max_age_s: int  #: a token that is valid for longer is refused; 0 allows any


@dataclass(frozen=True, slots=True)
class EcsSettings:
    """Where and how the chargers run on Amazon ECS."""

    region: str  #: empty where boto3 is to find it, in a profile: see worker/startup/aws_settings.py
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
    name_prefix: str  #: in front of the charger id, in service and family names
    tags: dict[str, str]
    max_connections: int  #: how many calls a worker makes at once; its -c, where that is given
    connect_timeout_s: float
    read_timeout_s: float
    installation: str  #: the name of an ECS that is not Amazon's; empty takes its address
    charger_environment: dict[str, str]  #: what every charger is given, beside what its row says


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """How much of Amazon's rate quotas for the ECS API the workers use, all together."""

    redis_url: str = field(repr=False)  #: where they share it; without it each worker is alone
    share: float  #: of each quota; 0 switches the budget off
    quotas: dict[
        str, str
    ]  #: those that AWS has raised, as RATE/BURST; worker.ecs.budget.QUOTAS has the names


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of the past stays in the database."""

    log_days: int  #: frames and events
    deleted_log_days: int  #: frames of a charger after its deletion
    command_days: int  #: commands after their end
    commands_per_charger: int  #: the newest ones


@dataclass(frozen=True, slots=True)
class Timing:
    """How often the maintenance runs, and when it gives up. In seconds where the name says nothing else."""

    sweep_every_s: float  #: how often what has not moved is published again
    observe_every_s: float  #: chargers in transition
    observe_settled_every_s: float  #: all others
    settle_s: float  #: how long one task must have been seen running before a command has succeeded
    logs_every_s: float
    log_overlap_s: float  #: how far behind the newest line late lines are looked for
    late_logs_every_s: float  #: how often the last hours are read again, for later lines; 0 for never
    late_logs_hours: float  #: how many hours
    log_lag_s: float  #: how late the logs may be read before a link's state is marked stale
    rollout_per_minute: float  #: chargers that a rollout begins to redeploy; 0 for none
    stale_after_s: float  #: an observation older than this is marked stale
    command_deadline_s: float  #: a command that ECS did not take by then has failed
    provisioning_deadline_s: float  #: a new charger that does not run by then has failed


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside."""

    environment: Environment
    database_url: str = field(repr=False)
    database_pool_size: int
    broker_url: str = field(repr=False)
    bind: str  #: address of the API
    api_processes: int
    keep_alive_s: int  #: a connection's rest between two requests; more than a load balancer's idle time-out
    redis_url: str = field(repr=False)  #: for what processes share; empty when the broker is no Redis
    rate_limit: str  #: of each organization's requests, as 50/second; empty for none
    event_streams: int  #: at once, per API process
    event_streams_per_organization: int  #: of those
    waits: int  #: requests that may wait at once, per API process; others are answered at once
    waits_per_organization: int  #: of those
    chargers_per_organization: int  #: beyond them a create is refused
    open_commands_per_organization: int  #: not final; beyond them a command is refused until some are
    log_page_bytes: int  #: of messages in one page of a charger's logs
    publisher_buffer: int  #: committed commands that wait for the broker, per API process
    log_format: str  #: json or console
    log_level: str
    log_bytes_per_organization: int  #: of the frames of one day that are kept; 0 for all
    kept: Kept
    destinations: Destinations  #: where chargers may connect to
    tokens: TokenSettings
    ecs: EcsSettings
    budget: BudgetSettings
    timing: Timing

    @property
    def embedded(self) -> bool:
        """True under `make run`: a laptop, with an ECS of local processes."""
        return self.environment == "embedded"
