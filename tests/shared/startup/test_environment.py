from collections.abc import Callable
from pathlib import Path

import pytest

from shared.settings import Settings, SettingsError
from shared.startup.checks import checked_settings
from shared.startup.environment import FLOWER_SECRETS, hand_secrets_to_flower, load_settings, read_secret

NEEDED = {"DATABASE_URL": "postgresql://u:p@localhost/db", "REDIS_URL": "redis://localhost"}
SECRET = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"

#: Each secret, a valid value, and its place in the settings.
SECRETS: dict[str, tuple[str, Callable[[Settings], str]]] = {
    "DATABASE_URL": ("postgres://u:secret@localhost/db", lambda s: s.database_url),
    "REDIS_URL": ("redis://:secret@localhost/1", lambda s: s.redis_url),
    "BROKER_URL": ("amqp://u:secret@localhost", lambda s: s.broker_url),
    "ENCRYPTION_KEYS": (SECRET, lambda s: ",".join(s.encryption_keys)),
    "CONTROL_SECRET": (SECRET, lambda s: ",".join(s.control.secrets)),
    "JWT_SECRET": (SECRET, lambda s: s.tokens.secret),
    "JWT_PUBLIC_KEY": ("-----BEGIN PUBLIC KEY-----", lambda s: s.tokens.public_key),
}

every_secret = pytest.mark.parametrize("name", SECRETS)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the variables that every process needs are set."""
    for name in (*SECRETS, "CHARGEHAND_ENV", *(f"{name}_FILE" for name in SECRETS)):
        monkeypatch.delenv(name, raising=False)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


@every_secret
def test_a_secret_is_read_from_its_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, found = SECRETS[name]
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{name}_FILE", str(file))

    assert found(load_settings()) == value.replace("postgres://", "postgresql+psycopg://")


@every_secret
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" \n", "names an empty file"),
        (b"\xff\xfe\x00", "it is not text in UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_without_a_secret_is_refused_in_one_line(
    name: str, content: bytes | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{name}_FILE", str(file))

    with pytest.raises(SettingsError, match=f"^{name}_FILE .*{reason}[^\n]*$"):
        load_settings()


@every_secret
def test_a_secret_and_a_file_for_it_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, SECRETS[name][0])
    monkeypatch.setenv(f"{name}_FILE", "/run/secrets/it")

    with pytest.raises(SettingsError, match=f"^{name} and {name}_FILE are both set"):
        load_settings()


def test_flower_gets_its_secrets_from_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FLOWER_SECRETS:
        (tmp_path / name).write_text(f"of {name}")
        monkeypatch.setenv(name, "")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))

    hand_secrets_to_flower()

    assert [read_secret(name) for name in FLOWER_SECRETS] == [f"of {name}" for name in FLOWER_SECRETS]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHARGEHAND_ENV", "embeded"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://localhost/db"),
        ("DATABASE_URL", "postgresql://u:secret@localhost:x/db"),
        ("DATABASE_POOL_SIZE", "0"),
        ("REDIS_URL", ""),
        ("REDIS_URL", "localhost"),
        ("REDIS_URL", "redis://:secret@localhost:99999"),
        ("REDIS_URL", "sentinel://:secret@localhost/0"),
        ("REDIS_URL", "amqp://u:secret@localhost"),
        ("BROKER_URL", "memory://"),
        ("DATABASE_URL", "postgresql://u:secret@h1:1,h2:2,h3/db?port=1,2"),
        ("BIND", "localhost"),
        ("BIND", "127.0.0.1:99999"),
        ("WEB_CONCURRENCY", "-1"),
        ("RATE_LIMIT", "abc"),
        ("RATE_LIMIT", "0/second"),
        ("EVENT_STREAMS", "many"),
        ("PUBLISHER_BUFFER", "0"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_RETENTION_DAYS", "0"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_MAX_AGE_SECONDS", "-1"),
        ("JWT_SECRET", "short"),
        ("JWT_PUBLIC_KEY", "no key"),
        ("DEFAULT_PLACEMENT", "alone"),
        ("HOST_CAPACITY", "5001"),
        ("DEFAULT_PLACEMENT", "shared"),
        ("CONTROL_URL", "https://link.test/control"),
        ("CONTROL_URL", "wss://link.test"),
        ("CONTROL_URL", "wss://user:secret@link.test/control"),
        ("CONTROL_URL", "wss://link.test:x/control"),
        ("CONTROL_URL", "wss://link.test/control?token=x"),
        ("CONTROL_URL", "wss://link.test /control"),
        ("CONTROL_URL", "wss://lïnk.test/control"),
        ("CORS_ORIGINS", "https://u:secret@pages.test"),
        ("CORS_ORIGINS", "u:secret@pages.test"),
        ("FLOWER_URL", "https://u:secret@flower.test"),
        ("CSMS_URL", "wss://u:secret@csms.test"),
        ("CONTROL_SECRET", "short"),
        ("CONTROL_SECRET", f"{SECRET},change-me"),
        ("LINK_BIND", "unix:/tmp/link"),
        ("LINK_SESSIONS", "0"),
        ("WS_URL_ALLOW", "http://csms.test"),
        ("WS_URL_DENY", "10.0.0.0/33"),
        ("ECS_LAUNCH_TYPE", "LAMBDA"),
        ("ECS_ASSIGN_PUBLIC_IP", "perhaps"),
        ("ECS_TAGS", "no-value"),
        ("ECS_QUOTAS", "fast"),
        ("ECS_CONNECT_TIMEOUT_SECONDS", "0"),
        ("ECS_READ_TIMEOUT_SECONDS", "nan"),
        ("ECS_BUDGET_SHARE", "90"),
        ("WORKER_CONCURRENCY", "x"),
        ("WORKER_CONCURRENCY", "100000"),
        ("SWEEP_SECONDS", "0"),
        ("OBSERVE_SECONDS", "-1"),
        ("OBSERVE_SETTLED_SECONDS", "inf"),
        ("LOGS_SECONDS", "nan"),
        ("LOG_OVERLAP_SECONDS", "-1"),
        ("STALE_SECONDS", "0"),
        ("COMMAND_DEADLINE_SECONDS", "0"),
        ("PROVISIONING_DEADLINE_SECONDS", "soon"),
    ],
)
def test_an_invalid_setting_is_named_in_one_line_without_a_secret(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    if name == "JWT_PUBLIC_KEY":
        monkeypatch.setenv("JWT_ALGORITHM", "RS256")

    with pytest.raises(SettingsError) as refused:
        checked_settings(verifies_tokens=False)

    said = str(refused.value)
    assert name in said
    assert len(said.splitlines()) == 1
    assert "secret@" not in said


@pytest.mark.parametrize("limit", ["50/second", "1000 per minute", "20/5 minutes", "5/Hour", ""])
def test_every_form_of_a_rate_limit_that_the_library_reads_is_accepted(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATE_LIMIT", limit)

    assert load_settings().rate_limit == limit


@pytest.mark.parametrize(
    "url", ["http://csms.test", "ws://", "wss://u:p@csms.test", "ws://csms.test/a b", "ws://csms.test:0"]
)
def test_a_proposed_csms_that_no_charger_could_have_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSMS_URL", url)

    with pytest.raises(SettingsError, match=r"^CSMS_URL must be of the form wss://"):
        load_settings()
