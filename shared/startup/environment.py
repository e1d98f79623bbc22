"""Read the settings from the environment. No other module of the api or the worker reads it."""

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from environs import Env, EnvError

from shared.broker.url import REDIS, BadBrokerUrl, broker_url, check_redis_url
from shared.database.url import BadDatabaseUrl, check_parameters, connection_parameters
from shared.destinations import BadRule, Destinations, read_destinations
from shared.settings import (
    ALGORITHMS,
    BudgetSettings,
    ControlSettings,
    EcsSettings,
    Environment,
    Retention,
    Settings,
    SettingsError,
    Timing,
    TokenSettings,
)
from shared.startup.browsers import read_cors_origins, read_csms_url, read_flower_url
from shared.startup.strays import ADDED, gap, leave_out
from shared.startup.urls import read_url
from shared.vocabulary import Placement

Number = TypeVar("Number", int, float)

YEAR_S = 366 * 86_400
LAUNCH_TYPES = ("FARGATE", "EC2", "EXTERNAL")
#: Secrets that may come from the file NAME_FILE.
SECRETS = (
    "BROKER_URL",
    "CONTROL_SECRET",
    "DATABASE_URL",
    "ENCRYPTION_KEYS",
    "JWT_PUBLIC_KEY",
    "JWT_SECRET",
    "REDIS_URL",
)
#: The API checks them when it is given a URL, and the charger, which gets them as CHARGER_*, when it connects.
WS_URL_RULES = ("WS_URL_ALLOW", "WS_URL_DENY")
FLOWER_SECRETS = ("FLOWER_BASIC_AUTH", "FLOWER_BROKER_API", "FLOWER_COOKIE_SECRET", "FLOWER_OAUTH2_SECRET")

#: The form that the package limits reads. gunicorn's parent process reads the settings and must not import it.
RATE_LIMIT = re.compile(
    r"\s*[1-9]\d{0,8}\s*(/|per)\s*(\d+\s*)?(second|minute|hour|day|month|year)s?\s*", re.I
)


def load_settings() -> Settings:
    """Read the environment. Raises SettingsError with one line that names the variable."""
    try:
        return _load(Env())
    except EnvError as error:
        raise SettingsError(str(error)) from error


def load_token_settings() -> TokenSettings:
    """Read the token settings alone, to make a token without a database. Raises SettingsError."""
    try:
        return _tokens(Env())
    except EnvError as error:
        raise SettingsError(str(error)) from error


def read_secret(name: str) -> str:
    """The variable's value, or the content of the file NAME_FILE; empty without either. Raises SettingsError."""
    value, file = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "")
    if not file:
        return value
    if value:
        raise SettingsError(f"{name} and {name}_FILE are both set: set only one of them")
    try:
        content = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(f"{name}_FILE cannot be read: {file}: {reason}") from error
    if not content:
        raise SettingsError(f"{name}_FILE names an empty file: {file}")
    return content


def hand_secrets_to_flower() -> dict[str, str]:
    """Set Flower's secrets from their NAME_FILE, which Flower cannot read. Returns all its variables.

    Safe to repeat. Raises SettingsError.
    """
    replace_secret_files(FLOWER_SECRETS)
    return {name: value for name, value in os.environ.items() if name.startswith("FLOWER_")}


def leave_out_strays() -> list[str]:
    """Remove the variables that libraries would read past the settings. Returns their names. Safe to repeat."""
    if os.environ.get("CELERY_BROKER_URL") == os.environ.get(
        "BROKER_URL"
    ):  # Celery itself copies the second into the first
        os.environ.pop("CELERY_BROKER_URL", None)
    return leave_out(os.environ)


def replace_secret_files(names: Iterable[str]) -> None:
    """Set NAME to the content of the file and remove NAME_FILE, for each that is set. Safe to repeat. Raises SettingsError."""
    for name in names:
        if os.environ.get(f"{name}_FILE"):
            secret = read_secret(name)
            del os.environ[f"{name}_FILE"]
            os.environ[name] = secret


def variables() -> frozenset[str]:
    """The names of all variables that load_settings reads. Raises SettingsError as it does."""
    env = Env()
    try:
        _load(env)
    except EnvError as error:
        raise SettingsError(str(error)) from error
    return frozenset(env.dump()) | frozenset(SECRETS)


def _load(env: Env) -> Settings:
    environment: Environment = _one_of(env, "CHARGEHAND_ENV", "production", get_args(Environment))
    embedded = environment == "embedded"
    redis_url = read_secret("REDIS_URL")
    kombu_url, shared_redis = _broker(read_secret("BROKER_URL"), redis_url)
    return Settings(
        environment=environment,
        database_url=_database_url(read_secret("DATABASE_URL") or _missing("DATABASE_URL")),
        database_pool_size=_int(env, "DATABASE_POOL_SIZE", 20, 1, 1_000),
        broker_url=kombu_url,
        bind=_bind(env, "BIND", "127.0.0.1:8000", sockets=("unix:", "fd://")),
        api_processes=_int(env, "WEB_CONCURRENCY", 1 if embedded else 2, 1, 256),
        keep_alive_s=_int(env, "KEEP_ALIVE_SECONDS", 75, 1, 3_600),
        redis_url=shared_redis,
        encryption_keys=_split(read_secret("ENCRYPTION_KEYS")),
        rate_limit=_rate_limit(env.str("RATE_LIMIT", "" if embedded else "50/second")),
        event_streams=_int(env, "EVENT_STREAMS", 500, 0, 100_000),
        event_streams_per_organization=_int(env, "EVENT_STREAMS_PER_ORGANIZATION", 200, 0, 100_000),
        waits=_int(env, "WAITS", 800, 0, 100_000),
        waits_per_organization=_int(env, "WAITS_PER_ORGANIZATION", 400, 0, 100_000),
        chargers_per_organization=_int(env, "CHARGERS_PER_ORGANIZATION", 50_000, 1, 100_000_000),
        open_actions_per_organization=_int(env, "OPEN_ACTIONS_PER_ORGANIZATION", 50_000, 1, 100_000_000),
        open_commands_per_organization=_int(env, "OPEN_COMMANDS_PER_ORGANIZATION", 50_000, 1, 100_000_000),
        open_jobs_per_organization=_int(env, "OPEN_JOBS_PER_ORGANIZATION", 20, 1, 10_000),
        cors_origins=read_cors_origins(env),
        flower_url=read_flower_url(env),
        csms_url=read_csms_url(env),
        log_page_bytes=_int(env, "LOG_PAGE_BYTES", 4 * 1024 * 1024, 1_024, 1_073_741_824),
        publisher_buffer=_int(env, "PUBLISHER_BUFFER", 10_000, 1, 10_000_000),
        log_format=_one_of(env, "LOG_FORMAT", "console" if embedded else "json", ("json", "console")),
        log_level=_log_level(env),
        log_bytes_per_organization=_int(env, "LOG_BYTES_PER_ORGANIZATION", 10 * 1024**3, 0, 2**60),
        retention=_retention(env),
        destinations=_destinations(env),
        tokens=_tokens(env),
        control=(control := _control(env)),
        default_placement=_default_placement(env, control),
        host_capacity=_int(env, "HOST_CAPACITY", 1_000, 1, 5_000),
        ecs=_ecs(env, control, embedded=embedded),
        budget=_budget(env, redis_url=shared_redis, embedded=embedded),
        timing=_timing(env, embedded=embedded),
    )


def _tokens(env: Env) -> TokenSettings:
    return TokenSettings(
        algorithm=_one_of(env, "JWT_ALGORITHM", "HS256", ALGORITHMS),
        secret=read_secret("JWT_SECRET"),
        public_key=read_secret("JWT_PUBLIC_KEY"),
        jwks_url=env.str("JWT_JWKS_URL", ""),
        issuer=env.str("JWT_ISSUER", ""),
        audience=env.str("JWT_AUDIENCE", ""),
        max_age_s=_int(env, "JWT_MAX_AGE_SECONDS", YEAR_S, 0, 100 * YEAR_S),
    )


def _control(env: Env) -> ControlSettings:
    secrets = read_secret("CONTROL_SECRET").split(",")
    return ControlSettings(
        url=_control_url(env),
        ca_file=env.str("CONTROL_CA_PATH", ""),
        secrets=tuple(secret.strip() for secret in secrets if secret.strip()),
        bind=_bind(env, "LINK_BIND", "127.0.0.1:8100"),
        max_sessions=_int(env, "LINK_SESSIONS", 5_000, 1, 100_000),
    )


def _default_placement(env: Env, control: ControlSettings) -> Placement:
    name = "DEFAULT_PLACEMENT"
    placement = Placement(_one_of(env, name, Placement.DEDICATED, [*Placement]))
    if placement == Placement.SHARED and not control.url:
        raise SettingsError(
            f"{name} is shared, which needs CONTROL_URL: hosts get their chargers over the control link"
        )
    return placement


def _ecs(env: Env, control: ControlSettings, *, embedded: bool) -> EcsSettings:
    return EcsSettings(
        region=env.str("AWS_REGION", "") or env.str("AWS_DEFAULT_REGION", ""),
        cluster=env.str("ECS_CLUSTER", "chargehand"),
        launch_type=_one_of(env, "ECS_LAUNCH_TYPE", "EC2" if embedded else "FARGATE", LAUNCH_TYPES),
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
        tags=_pairs(env, "ECS_TAGS"),
        max_connections=_int(env, "WORKER_CONCURRENCY", 32, 1, 1_000),
        connect_timeout_s=_float(env, "ECS_CONNECT_TIMEOUT_SECONDS", 3, 0.1, 600),
        read_timeout_s=_float(env, "ECS_READ_TIMEOUT_SECONDS", 4, 0.1, 600),
        installation=_installation(env),
        charger_environment={
            f"CHARGER_{name}": value for name in WS_URL_RULES if (value := env.str(name, ""))
        },
        control=control,
    )


def _destinations(env: Env) -> Destinations:
    rules = [env.str(name, "") for name in WS_URL_RULES]
    try:
        return read_destinations(*rules)
    except BadRule as error:
        raise SettingsError(f"{' or '.join(WS_URL_RULES)}: {error}") from error


def _budget(env: Env, *, redis_url: str, embedded: bool) -> BudgetSettings:
    return BudgetSettings(
        redis_url=redis_url,
        share=_float(env, "ECS_BUDGET_SHARE", 0 if embedded else 0.9, 0, 1),
        quotas=_pairs(env, "ECS_QUOTAS"),
    )


def _retention(env: Env) -> Retention:
    return Retention(
        log_days=_int(env, "LOG_RETENTION_DAYS", 7, 1, 3_650),
        deleted_log_days=_int(env, "DELETED_LOGS_KEPT_DAYS", 1, 0, 3_650),
        command_days=_int(env, "COMMANDS_KEPT_DAYS", 90, 1, 36_500),
        action_days=_int(env, "ACTIONS_KEPT_DAYS", 7, 1, 3_650),
        commands_per_charger=_int(env, "COMMANDS_KEPT_PER_CHARGER", 1_000, 10, 1_000_000),
    )


def _timing(env: Env, *, embedded: bool) -> Timing:
    return Timing(
        sweep_every_s=_float(env, "SWEEP_SECONDS", 2, 0.05, 86_400),
        observe_every_s=_float(env, "OBSERVE_SECONDS", 0.5 if embedded else 2, 0.05, 86_400),
        observe_settled_every_s=_float(env, "OBSERVE_SETTLED_SECONDS", 1 if embedded else 60, 0.05, 86_400),
        settle_s=_float(env, "SETTLE_SECONDS", 1 if embedded else 5, 0, 600),
        logs_every_s=_float(env, "LOGS_SECONDS", 1 if embedded else 5, 0.05, 86_400),
        log_overlap_s=_float(env, "LOG_OVERLAP_SECONDS", 5 if embedded else 60, 0, 86_400),
        late_logs_every_s=_float(env, "LATE_LOGS_SECONDS", 0 if embedded else 300, 0, 86_400),
        late_logs_hours=_float(env, "LATE_LOGS_HOURS", 3, 0, 24 * 14),
        log_lag_s=_float(env, "LOG_LAG_SECONDS", 30, 1, YEAR_S),
        rollout_per_minute=_float(env, "ROLLOUT_PER_MINUTE", 60 if embedded else 10, 0, 10_000),
        stale_after_s=_float(env, "STALE_SECONDS", 30 if embedded else 180, 1, YEAR_S),
        command_deadline_s=_float(env, "COMMAND_DEADLINE_SECONDS", 3600, 1, YEAR_S),
        provisioning_deadline_s=_float(env, "PROVISIONING_DEADLINE_SECONDS", 3600, 1, YEAR_S),
        host_empty_s=_float(env, "HOST_EMPTY_SECONDS", 300, 0, YEAR_S),
    )


def _installation(env: Env) -> str:
    name = env.str("CHARGEHAND_INSTALLATION", "")
    if not re.fullmatch(r"[\w.-]*", name, re.ASCII):
        raise SettingsError("CHARGEHAND_INSTALLATION may hold letters, digits, -, _ and . only")
    return name


def _words(env: Env, name: str) -> tuple[str, ...]:
    return _split(env.str(name, ""))


def _split(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _pairs(env: Env, name: str) -> dict[str, str]:
    try:
        return env.dict(name, {}, subcast_keys=str, subcast_values=str)
    except ValueError as error:
        raise SettingsError(f"{name} must be of the form key=value,key=value") from error


def _int(env: Env, name: str, default: int, min_value: int, max_value: int) -> int:
    return _within(name, env.int(name, default), min_value, max_value)


def _float(env: Env, name: str, default: float, min_value: float, max_value: float) -> float:
    return _within(name, env.float(name, default), min_value, max_value)


def _within(name: str, value: Number, min_value: Number, max_value: Number) -> Number:
    if not min_value <= value <= max_value:  # NaN is refused too
        raise SettingsError(f"{name} must be from {min_value} to {max_value}, and is {value}")
    return value


def _one_of(env: Env, name: str, default: str, allowed: Sequence[str]) -> Any:
    value = env.str(name, "") or default
    if value not in allowed:
        raise SettingsError(f"{name} must be {' or '.join(allowed)}, and is {value!r}")
    return value


def _log_level(env: Env) -> str:
    level = env.str("LOG_LEVEL", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL, and is {level!r}")
    return level


def _bind(env: Env, name: str, default: str, *, sockets: tuple[str, ...] = ()) -> str:
    address = env.str(name, default)
    port = address.rpartition(":")[2]
    if not address.startswith(sockets) and not (port.isascii() and port.isdecimal() and int(port) < 65_536):
        raise SettingsError(f"{name} must be HOST:PORT, and is {address!r}")
    return address


def _control_url(env: Env) -> str:
    form = "wss://HOST:PORT/control"
    url = read_url(env, "CONTROL_URL", schemes=("ws", "wss"), form=form)
    parts = urlsplit(url)
    if url and (not parts.path.endswith("/control") or parts.query):
        raise SettingsError(f"CONTROL_URL must be of the form {form}")
    return url


def _rate_limit(limit: str) -> str:
    if limit and not RATE_LIMIT.fullmatch(limit):
        raise SettingsError(f"RATE_LIMIT must be of the form 50/second, and is {limit!r}")
    return limit


def _broker(given: str, redis_url: str) -> tuple[str, str]:
    """The broker's URL for kombu, and the URL of the Redis that processes share, empty without one."""
    name = "REDIS_URL"
    try:
        if redis_url:
            check_redis_url(redis_url)
        name = "BROKER_URL" if given else "REDIS_URL"
        kombu_url = broker_url(given or redis_url or _missing("REDIS_URL or BROKER_URL"))
    except BadBrokerUrl as error:
        raise SettingsError(f"{name} {error}") from error
    shared = redis_url or given
    return kombu_url, shared if urlsplit(shared).scheme in REDIS else ""


def _database_url(url: str) -> str:
    """The URL in the form that makes SQLAlchemy use psycopg 3."""
    try:
        parameters = connection_parameters(url)
    except BadDatabaseUrl as error:
        raise SettingsError(f"DATABASE_URL {error}") from error
    _check_libpq(parameters)
    return "postgresql+psycopg://" + url.partition("://")[2]


def _check_libpq(parameters: Mapping[str, str]) -> None:
    """Check the variables that libpq adds to the URL by itself."""
    found = gap(parameters, os.environ)
    if found is not None:
        keyword, name = found
        raise SettingsError(
            f"DATABASE_URL names no {keyword}, and {name} is not used: write the {keyword} into the URL"
        )
    for name, keyword in ADDED.items():
        if keyword not in parameters and (value := os.environ.get(name)):
            try:
                check_parameters({keyword: value})
            except BadDatabaseUrl as error:
                raise SettingsError(f"{name}, which adds to DATABASE_URL, {error}") from error


def _missing(name: str) -> str:
    raise SettingsError(f"{name} is not set")
