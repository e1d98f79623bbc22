"""docker-compose.yml and the Dockerfile without Docker: their structure, and their commands as processes."""

import ast
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import pytest
import redis
import yaml

from embedded.ports import HOST, free_port
from embedded.process import Program, running
from embedded.redis import answers_ping, find_redis
from embedded.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OPEN_PORTS = ("4566", "8000", "8100", "9000", "5555")
SECRETS = {
    "JWT_SECRET": "c0ffee" * 4 + "0123456789abcdef" * 2,
    "POSTGRES_PASSWORD": "postgres0password",
    "REDIS_PASSWORD": "redis0password",
    "FLOWER_PASSWORD": "flower0password",
    "ECS_PASSWORD": "ecs0password",
    "CONTROL_SECRET": "b0ffee" * 4 + "0123456789abcdef" * 2,
}


def test_every_program_has_a_service() -> None:
    assert set(SERVICES) == {
        "postgres", "redis", "ecs", "csms", "migrate", "api", "link", "worker", "beat", "flower",
    }  # fmt: skip


def test_every_service_keeps_to_the_policy() -> None:
    """Health, rights, user, command line, time to stop, network, dependencies and secrets."""
    broken = [f"{name}: {problem}" for name, service in SERVICES.items() for problem in problems(service)]

    assert broken == []


def problems(service: dict[str, Any]) -> list[str]:
    """What a service does that the policy forbids."""
    is_one_shot = service["restart"] == "no"
    words = (*service["command"], *service.get("healthcheck", {}).get("test", ()))
    kept = {
        "has a health check, or ends by itself": ("healthcheck" in service) != is_one_shot,
        "cannot write to its image": service["read_only"] is True and "/tmp" in service["tmpfs"],
        "has no capability and gains none": service["cap_drop"] == ["ALL"]
        and service["security_opt"] == ["no-new-privileges:true"],
        "has limits": service["pids_limit"] > 0 and bool(service["mem_limit"]),
        "is isolated": not {"privileged", "cap_add", "network_mode", "pid"} & set(service),
        # Our images have a user; the others get a number here.
        "does not run as root": "build" in service
        or bool(re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])),
        "starts in exec form": isinstance(service["command"], list)
        and all(isinstance(word, str) for word in service["command"]),
        "has time to stop": bool(service["stop_grace_period"]),
        "is on the one network": service["networks"] == list(COMPOSE["networks"]),
        "waits until what it needs is ready": all(
            how["condition"] == ready(SERVICES[needed])
            for needed, how in service.get("depends_on", {}).items()
        ),
        "has no secret in an argument, which every user can see": not any(
            secret in word for secret in SECRETS for word in words
        ),
    }
    return [rule for rule, is_kept in kept.items() if not is_kept]


def ready(needed: dict[str, Any]) -> str:
    """The condition under which a service that another one needs is ready."""
    return "service_completed_successfully" if needed["restart"] == "no" else "service_healthy"


def test_only_the_api_and_flower_publish_ports_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"api", "flower"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_worker_can_be_scaled() -> None:
    assert not {"container_name", "hostname", "ports"} & set(SERVICES["worker"])
    assert "worker@%h" in SERVICES["worker"]["command"]


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    for secret in SECRETS:
        uses = re.findall(rf"\${{{secret}(\S+)", (ROOT / "docker-compose.yml").read_text())
        assert uses, secret
        assert all(use.startswith(":?") for use in uses), secret


def test_every_image_that_is_built_here_is_a_stage_that_runs_as_a_numbered_user() -> None:
    stages = stages_of(DOCKERFILE)
    built = {service["build"]["target"] for service in SERVICES.values() if "build" in service}

    assert built | {"simulator"} <= set(stages)
    for name in built | {"simulator"}:
        lines = with_parents(stages, name)
        assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
        assert any(line.startswith("HEALTHCHECK ") for line in lines)
        assert any(line.startswith("CMD [") for line in lines)


def test_the_user_of_an_image_has_a_name() -> None:
    """initdb, which `chargehand up` runs, refuses one without: "could not look up effective user ID"."""
    lines = stages_of(DOCKERFILE)["base"]
    [user] = [line.removeprefix("USER ") for line in lines if line.startswith("USER ")]
    uid, gid = user.split(":")
    words = [set(re.findall(r'"([^"]+)"', line)) for line in lines[: lines.index(f"USER {user}")]]

    assert any({"groupadd", gid} <= each for each in words)
    assert any({"useradd", uid, gid} <= each for each in words)


def test_the_last_stage_is_the_app() -> None:
    assert list(stages_of(DOCKERFILE))[-1] == "app"


def test_dockerignore_lets_through_what_the_images_copy() -> None:
    included = {
        line.removeprefix("!").rstrip("/")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]

    assert {pattern.rstrip("*") for pattern in packages["find"]["include"]} <= included
    assert {
        "requirements.lock",
        "requirements-uv.txt",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    } <= included


def test_the_simulator_imports_only_what_its_image_holds() -> None:
    installed = re.search(
        r'"uv", "pip", "install", "ocpp", "starlette", "uvicorn", "websockets"\]', DOCKERFILE
    )
    imported = {
        module.split(".")[0]
        for file in (ROOT / "simulator").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for module in modules_of(node)
    }

    assert installed
    assert imported - set(sys.stdlib_module_names) <= {
        "simulator",
        "ocpp",
        "starlette",
        "uvicorn",
        "websockets",
    }


def modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "simulator"]
    return []


def stages_of(dockerfile: str) -> dict[str, list[str]]:
    """The instructions of each stage. The first one names the parent stage."""
    stages: dict[str, list[str]] = {}
    for line in dockerfile.replace("\\\n", " ").splitlines():
        if line.startswith("FROM "):
            stages[line.split(" AS ")[1]] = lines = [line]
        elif stages and line and not line.startswith("#"):
            lines.append(re.sub(" +", " ", line))
    return stages


def with_parents(stages: dict[str, list[str]], name: str) -> list[str]:
    parent = stages[name][0].split()[1]
    inherited = with_parents(stages, parent) if parent in stages else []
    return inherited + stages[name][1:]


@dataclass
class Composed:
    """Runs the services' commands on this machine, with its names, ports and folders instead of the containers'."""

    postgres_url: str
    redis_url: str
    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {port: free_port() for port in OPEN_PORTS})

    def here(self, text: str) -> str:
        while (inner := re.sub(r"\$\{(\w+)[^${}]*\}", lambda found: SECRETS.get(found[1], ""), text)) != text:
            text = inner  # a default may have variables, too
        text = re.sub(r"^postgresql://.*@postgres:5432/chargehand$", self.postgres_url, text)
        text = re.sub(r"^redis://.*@redis:6379/0$", self.redis_url, text)
        for port, ours in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(ours), text)
        text = re.sub("//(ecs|link):", f"//{HOST}:", text.replace("0.0.0.0", HOST))
        text = re.sub(r"^/state$", str(self.folder / "state"), text)
        return text.replace("/tmp", str(self.folder)).replace("$$", "$")

    def argv(self, words: list[str]) -> tuple[str, ...]:
        return tuple(sys.executable if word == "python" else self.here(word) for word in words)

    def env(self, service: dict[str, Any]) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {name: self.here(value) for name, value in service.get("environment", {}).items()}
        return {"PATH": path, "HOME": str(self.folder), "HOSTNAME": socket.gethostname(), **given}

    def is_healthy(self, service: dict[str, Any]) -> bool:
        how, *check = service["healthcheck"]["test"]
        argv = self.argv(check) if how == "CMD" else ("/bin/sh", "-c", self.here(check[0]))
        done = subprocess.run(argv, env=self.env(service), capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    def program(self, name: str) -> Program:
        """The service as a process, ready when it is healthy by its own check."""
        service = SERVICES[name]
        return Program(
            name,
            self.argv(service["command"]),
            is_ready=lambda: self.is_healthy(service),
            env=self.env(service),
            cwd=self.folder,
        )


@pytest.fixture
def composed(new_database: Any, redis_url: str) -> Iterator[Composed]:
    with TemporaryDirectory(prefix="chargehand-compose-") as folder:
        yield Composed(new_database().replace("+psycopg", ""), redis_url, Path(folder))


def test_every_command_of_our_images_runs_and_becomes_healthy(composed: Composed) -> None:
    migrate = SERVICES["migrate"]
    subprocess.run(composed.argv(migrate["command"]), env=composed.env(migrate), check=True, timeout=60)

    reports: list[str] = []
    supervisor = Supervisor(composed.folder, reports.append)
    try:
        for name in ("ecs", "csms", "api", "link", "worker", "beat", "flower"):
            supervisor.start(composed.program(name))
        supervisor.wait_until_ready(within_s=90)

        assert reports == []
        with urlopen(f"http://{HOST}:{composed.ports['8000']}/ready") as answer:
            assert answer.status == 200
    finally:
        supervisor.stop()


@pytest.mark.skipif(find_redis() is None, reason="this machine has no Redis binary")
def test_redis_accepts_its_command_line(composed: Composed) -> None:
    *shell, script = composed.argv(SERVICES["redis"]["command"])
    assert " redis-server " in script
    here = f" --port {(port := free_port())} --dir {composed.folder}"
    url = f"redis://:{SECRETS['REDIS_PASSWORD']}@{HOST}:{port}"

    server = Program(
        "redis",
        (*shell, script.replace(" redis-server ", f" {find_redis()} ") + here),
        is_ready=lambda: answers_ping(url),
        env=composed.env(SERVICES["redis"]),
    )
    with (
        running(server, composed.folder / "redis.log"),
        redis.Redis.from_url(url, decode_responses=True) as client,
    ):
        names = ("maxmemory-policy", "appendonly", "save")
        settings = {name: client.config_get(name)[name] for name in names}

    assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes", "save": ""}
