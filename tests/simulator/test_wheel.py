"""packaging/simulator builds a wheel of the charger alone, and its command runs."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from simulator.versions import RELEASE
from tests.simulator.charger import environment

ROOT = Path(__file__).parents[2]
FOLDER = Path("packaging/simulator")


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and the packages that a charger imports, without any index."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for part in (FOLDER, Path("simulator")):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "build"))
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source / FOLDER]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    install = [*pip, "--python", venv / "bin/python", "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    for name in ("ocpp", "websockets"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (site_packages / name).symlink_to(Path(spec.origin).parent)
    return venv


def test_the_installed_command_runs_a_charger(venv: Path, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"]} | environment("ws://127.0.0.1:9", "OCPP2.0.1")
    with subprocess.Popen(
        [venv / "bin/chargehand-simulator"], env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as charger:
        assert charger.stdout is not None
        lines = [charger.stdout.readline() for _ in range(2)]
        charger.terminate()
        charger.communicate(timeout=10)

    assert '"state": "connecting"' in lines[0]
    assert "connection_refused" in lines[1]
    assert charger.returncode == 0


def test_the_wheel_holds_every_module_and_nothing_else(venv: Path) -> None:
    (site_packages,) = venv.glob("lib/python3*/site-packages")

    modules = {path.relative_to(ROOT) for path in (ROOT / "simulator").rglob("*.py")}

    installed = {path.relative_to(site_packages) for path in (site_packages / "simulator").rglob("*.py")}
    assert installed == modules
    (metadata,) = site_packages.glob("*.dist-info")
    assert (metadata / "top_level.txt").read_text().split() == ["simulator"]


def test_it_has_the_version_and_the_dependencies_of_the_whole_project() -> None:
    project = tomllib.loads((ROOT / FOLDER / "pyproject.toml").read_text())["project"]
    whole_project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == RELEASE
    for key in ("version", "license", "requires-python"):
        assert project[key] == whole_project[key]
    assert project["dependencies"] == whole_project["optional-dependencies"]["simulator"]
