"""Who imports whom: between the packages, between the folders of a package, and between modules. And how long files are."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AWS = {"boto3", "botocore"}

PACKAGES = ("api", "chargehand", "embedded", "link", "shared", "simulator", "worker")
FORBIDDEN = {
    "api": {"worker", "link", "embedded", "simulator", "chargehand"} | AWS,
    "shared": {"api", "worker", "link", "embedded", "simulator", "chargehand", "flask"} | AWS,
    "worker": {"api", "link", "embedded", "simulator", "chargehand", "flask"},
    "link": {"api", "worker", "embedded", "simulator", "chargehand", "flask", "celery"} | AWS,
    "simulator": {"api", "worker", "link", "shared", "embedded", "chargehand"},
    "embedded": {"api", "worker", "link", "simulator", "chargehand"},
}

#: The folders and modules of a package, from the top down: each imports only what stands below it.
LAYERS = {
    "api": (
        "gunicorn_conf",
        "wsgi",
        "server",
        "app",
        "routes",
        "http",
        "resources",
        "live",
        "limits",
        "poller",
    ),
    "shared": (
        *("startup", "auth", "operations", "fleet", "maintenance", "migrations", "database", "broker"),
        *("models", "queues", "sealing", "settings", "destinations", "ids", "error_codes", "vocabulary"),
    ),
    "link": (
        *("__main__", "server", "conversation", "process", "work", "sessions", "session"),
        *("wire", "rows", "database", "metrics"),
    ),
    "worker": (
        *(
            "tasks",
            "celery_app",
            "startup",
            "reports",
            "broker",
            "resources",
            "maintenance",
            "jobs",
            "observe",
            "logs",
        ),
        *("reconcile", "hosts", "ecs", "outage_log"),
    ),
}

#: The only code that talks to AWS.
MAY_IMPORT_AWS = {
    Path("worker/ecs/aws_settings.py"),
    Path("worker/ecs/client.py"),
    Path("worker/ecs/errors.py"),
    Path("worker/startup/installation.py"),
    Path("worker/logs/client.py"),
}

#: The only code that reads the environment; a variable gives prometheus_client its folder.
MAY_READ_ENVIRONMENT = {
    Path("shared/startup/environment.py"),
    Path("api/gunicorn_conf.py"),
    Path("api/live/metrics.py"),
}

MAX_LINES = 400


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    for module in modules(package):
        assert not {name.split(".")[0] for name in imports(module)} & FORBIDDEN[package], module


@pytest.mark.parametrize("package", LAYERS)
def test_imports_between_the_folders_of_a_package_go_down(package: str) -> None:
    layers = [f"{package}/{name}" for name in LAYERS[package]]
    arrows = {(one, other) for one, others in between_folders(package).items() for other in others}

    up = {(one, other) for one, other in arrows if layers.index(one) > layers.index(other)}

    assert not up


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - set(LAYERS)))
def test_no_circle_of_imports_between_folders(package: str) -> None:
    assert circle_in(between_folders(package)) == []


def test_no_circle_of_imports_between_modules() -> None:
    assert circle_in(between_modules()) == []


def test_boto3_is_imported_in_few_modules_only() -> None:
    found = {module for module in modules("worker") if {name.split(".")[0] for name in imports(module)} & AWS}

    assert found == MAY_IMPORT_AWS


@pytest.mark.parametrize("package", ["api", "link", "worker", "shared"])
def test_the_environment_is_read_in_one_module_only(package: str) -> None:
    for module in set(modules(package)) - MAY_READ_ENVIRONMENT:
        names = {
            node.attr
            for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
        }
        assert not names & {"environ", "getenv"}, module


def test_no_file_is_too_long_to_read_at_once() -> None:
    files = [
        module
        for package in (*PACKAGES, "bench", "scripts", "tests")
        for module in modules(package)
        if Path("shared/migrations/versions") not in module.parents
    ]

    too_long = {
        str(module)
        for module in files
        if len((ROOT / module).read_text(encoding="utf-8").splitlines()) > MAX_LINES
    }

    assert not too_long


def modules(package: str) -> Iterator[Path]:
    return (path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py")))


@cache
def imports(module: Path) -> frozenset[str]:
    """The full names of all that the module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def between_modules() -> dict[str, set[str]]:
    """Every module, and our other modules that it imports. A package's __init__ counts as the package."""
    ours = {dotted(module): module for package in PACKAGES for module in modules(package)}
    found: dict[str, set[str]] = {}
    for name, module in ours.items():
        known = {each if each in ours else each.rpartition(".")[0] for each in imports(module)}
        found[name] = (known & ours.keys()) - {name}
    return found


def dotted(module: Path) -> str:
    return ".".join(module.with_suffix("").parts).removesuffix(".__init__")


def between_folders(package: str) -> dict[str, set[str]]:
    """The same for the package's own folders and for its modules beside them."""
    found: dict[str, set[str]] = {}
    for name, others in between_modules().items():
        if name.startswith(f"{package}."):
            inside = {folder_of(other) for other in others if other.startswith(f"{package}.")}
            found.setdefault(folder_of(name), set()).update(inside - {folder_of(name)})
    return found


def folder_of(name: str) -> str:
    return "/".join(name.split(".")[:2])


def circle_in(arrows: Mapping[str, set[str]]) -> list[str]:
    """The names along a circle; empty when there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []
