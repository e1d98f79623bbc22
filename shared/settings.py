"""The environment, read once. No other module of the api, the worker or their command reads it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from environs import Env, EnvError

Environment = Literal["production", "embedded"]


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

    region: str
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
    max_connections: int  #: how many calls a worker makes at once, its -c
    connect_timeout_s: float
    read_timeout_s: float


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """How much of Amazon's rate quotas for the ECS API the workers use, all together."""

    redis_url: str = field(repr=False)  #: where they share it; without it each worker is alone
    share: float  #: of each quota; 0 switches the budget off
    quotas: dict[str, str]  #: those that AWS has raised, as RATE/BURST; worker.budget.QUOTAS has the names


@dataclass(frozen=True, slots=True)
class Timing:
    """How often the maintenance runs, and when it gives up. All in seconds."""

    sweep_every_s: float  #: how often what has not moved is published again
    observe_every_s: float  #: chargers in transition
    observe_settled_every_s: float  #: all others
    logs_every_s: float
    log_overlap_s: float  #: how far behind the newest line late lines are looked for
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
    keep_alive_s: (
        int  #: how long a connection rests between two requests; more than a load balancer's idle time-out
    )
    redis_url: str = field(repr=False)  #: for what processes share; empty when the broker is no Redis
    rate_limit: str  #: of each organization's requests, as 50/second; empty for none
    event_streams: int  #: at once, per API process
    event_streams_per_organization: int  #: of those
    waits: int  #: requests that may wait at once, per API process; others are answered at once
    waits_per_organization: int  #: of those
    log_page_bytes: int  #: of messages in one page of a charger's logs
    publisher_buffer: int  #: committed commands that wait for the broker, per API process
    log_format: str  #: json or console
    log_level: str
    log_retention_days: int  #: of charger_logs
    tokens: TokenSettings
    ecs: EcsSettings
    budget: BudgetSettings
    timing: Timing

    @property
    def embedded(self) -> bool:
        """True under `make run`: a laptop, with an ECS of local processes."""
        return self.environment == "embedded"


def load_settings() -> Settings:
    """Read the environment. Raises SettingsError with one line that names the variable."""
    env = Env()
    try:
        return _load(env)
    except EnvError as error:
        raise SettingsError(str(error)) from error


def _load(env: Env) -> Settings:
    environment: Environment = "embedded" if env.str("CHARGEHAND_ENV", "") == "embedded" else "production"
    embedded = environment == "embedded"
    redis_url = env.str("REDIS_URL", "")
    return Settings(
        environment=environment,
        database_url=_database_url(env.str("DATABASE_URL")),
        database_pool_size=env.int("DATABASE_POOL_SIZE", 20),
        broker_url=env.str("BROKER_URL", redis_url) or _missing("REDIS_URL or BROKER_URL"),
        bind=env.str("BIND", "127.0.0.1:8000"),
        api_processes=env.int("WEB_CONCURRENCY", 1 if embedded else 2),
        keep_alive_s=env.int("KEEP_ALIVE_SECONDS", 75),
        redis_url=_redis_url(env),
        rate_limit=env.str("RATE_LIMIT", "" if embedded else "50/second"),
        event_streams=env.int("EVENT_STREAMS", 500),
        event_streams_per_organization=env.int("EVENT_STREAMS_PER_ORGANIZATION", 200),
        waits=env.int("WAITS", 800),
        waits_per_organization=env.int("WAITS_PER_ORGANIZATION", 400),
        log_page_bytes=env.int("LOG_PAGE_BYTES", 4 * 1024 * 1024),
        publisher_buffer=env.int("PUBLISHER_BUFFER", 10_000),
        log_format=env.str("LOG_FORMAT", "console" if embedded else "json"),
        log_level=env.str("LOG_LEVEL", "INFO").upper(),
        log_retention_days=env.int("LOG_RETENTION_DAYS", 7),
        tokens=_tokens(env),
        ecs=_ecs(env, embedded=embedded),
        budget=_budget(env, embedded=embedded),
        timing=_timing(env, embedded=embedded),
    )


def _tokens(env: Env) -> TokenSettings:
    return TokenSettings(
        algorithm=env.str("JWT_ALGORITHM", "HS256"),
        secret=_secret(env, "JWT_SECRET"),
        public_key=_secret(env, "JWT_PUBLIC_KEY"),
        jwks_url=env.str("JWT_JWKS_URL", ""),
        issuer=env.str("JWT_ISSUER", ""),
        audience=env.str("JWT_AUDIENCE", ""),
        max_age_s=env.int("JWT_MAX_AGE_SECONDS", 366 * 86_400),
    )


def _ecs(env: Env, *, embedded: bool) -> EcsSettings:
    return EcsSettings(
        region=env.str("AWS_REGION", "us-east-1"),
        cluster=env.str("ECS_CLUSTER", "chargehand"),
        launch_type=env.str("ECS_LAUNCH_TYPE", "EC2" if embedded else "FARGATE"),
        capacity_providers=_words(env, "ECS_CAPACITY_PROVIDERS"),
        subnets=_words(env, "ECS_SUBNETS"),
        security_groups=_words(env, "ECS_SECURITY_GROUPS"),
        assign_public_ip=env.bool("ECS_ASSIGN_PUBLIC_IP", False),
        cpu=env.str("ECS_TASK_CPU", "256"),
        memory=env.str("ECS_TASK_MEMORY", "512"),
        image=env.str("ECS_IMAGE", "chargehand-simulator"),
        execution_role_arn=env.str("ECS_EXECUTION_ROLE_ARN", ""),
        task_role_arn=env.str("ECS_TASK_ROLE_ARN", ""),
        log_group=env.str("ECS_LOG_GROUP", "/chargehand/chargers"),
        name_prefix=env.str("ECS_NAME_PREFIX", ""),
        tags=env.dict("ECS_TAGS", {}, subcast_keys=str, subcast_values=str),
        max_connections=env.int("WORKER_CONCURRENCY", 16),
        connect_timeout_s=env.float("ECS_CONNECT_TIMEOUT_SECONDS", 3),
        read_timeout_s=env.float("ECS_READ_TIMEOUT_SECONDS", 10),
    )


def _budget(env: Env, *, embedded: bool) -> BudgetSettings:
    return BudgetSettings(
        redis_url=_redis_url(env),
        share=env.float("ECS_BUDGET_SHARE", 0 if embedded else 0.9),
        quotas=env.dict("ECS_QUOTAS", {}, subcast_keys=str, subcast_values=str),
    )


def _timing(env: Env, *, embedded: bool) -> Timing:
    return Timing(
        sweep_every_s=env.float("SWEEP_SECONDS", 2),
        observe_every_s=env.float("OBSERVE_SECONDS", 0.5 if embedded else 2),
        observe_settled_every_s=env.float("OBSERVE_SETTLED_SECONDS", 1 if embedded else 60),
        logs_every_s=env.float("LOGS_SECONDS", 1 if embedded else 5),
        log_overlap_s=env.float("LOG_OVERLAP_SECONDS", 5 if embedded else 60),
        stale_after_s=env.float("STALE_SECONDS", 30 if embedded else 180),
        command_deadline_s=env.float("COMMAND_DEADLINE_SECONDS", 3600),
        provisioning_deadline_s=env.float("PROVISIONING_DEADLINE_SECONDS", 3600),
    )


def _redis_url(env: Env) -> str:
    url = env.str("REDIS_URL", "") or env.str("BROKER_URL", "")
    return url if url.startswith(("redis://", "rediss://", "unix://")) else ""


def _words(env: Env, name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in env.str(name, "").split(",") if word.strip())


def _secret(env: Env, name: str) -> str:
    """The variable, or the content of the file that NAME_FILE points at."""
    file = env.str(f"{name}_FILE", "")
    if not file:
        return env.str(name, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name}_FILE cannot be read: {error.strerror}") from error


def _database_url(url: str) -> str:
    """Everybody's spelling of a PostgreSQL URL, in the one that SQLAlchemy reads with psycopg 3."""
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    if not url.startswith("postgresql+psycopg://"):
        raise SettingsError("DATABASE_URL must be a postgresql:// URL")
    return url


def _missing(name: str) -> str:
    raise SettingsError(f"{name} is not set")
