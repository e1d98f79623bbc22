"""api -> shared <- worker, and nobody else knows anybody."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AWS = {"boto3", "botocore"}

FORBIDDEN = {
    "api": {"worker", "embedded", "simulator", "chargehand"} | AWS,
    "shared": {"api", "worker", "embedded", "simulator", "chargehand", "flask"} | AWS,
    "worker": {"api", "embedded", "simulator", "chargehand", "flask"},
    "simulator": {"api", "worker", "shared", "embedded", "chargehand"},
    "embedded": {"api", "worker", "simulator", "chargehand"},
}

#: The only code that talks to AWS.
MAY_IMPORT_AWS = {
    Path("worker/startup/aws_settings.py"),
    Path("worker/ecs/client.py"),
    Path("worker/ecs/errors.py"),
    Path("worker/startup/installation.py"),
    Path("worker/logs/client.py"),
}

#: The only code that reads the environment; prometheus_client is told its folder by a variable.
MAY_READ_ENVIRONMENT = {Path("shared/settings.py"), Path("api/gunicorn_conf.py"), Path("api/live/metrics.py")}


def modules(package: str) -> Iterator[Path]:
    return (path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py")))


def imports(module: Path) -> set[str]:
    """Top-level packages that the module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    for module in modules(package):
        assert not imports(module) & FORBIDDEN[package], module


def test_boto3_is_imported_in_few_modules_only() -> None:
    found = {module for module in modules("worker") if imports(module) & AWS}

    assert found == MAY_IMPORT_AWS


@pytest.mark.parametrize("package", ["api", "worker", "shared"])
def test_the_environment_is_read_in_one_module_only(package: str) -> None:
    for module in set(modules(package)) - MAY_READ_ENVIRONMENT:
        names = {
            node.attr
            for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
        }
        assert not names & {"environ", "getenv"}, module
