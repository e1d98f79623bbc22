import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

import pytest

from scripts import steps
from scripts.install import UNUSED, WHOLE
from scripts.uv import pip_settings, uv_environment
from tests.scripts.wheels import ENDLESS_UV, FAILING_UV, STAND_IN_FOR_UV, make_checkout, make_wheel
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@dataclass
class Checkout:
    """A checkout with a lock of one package, and an index that is a folder."""

    folder: Path
    venv: Path
    lock: Path
    uv_calls: Path
    environment: dict[str, str]

    def given_uv(self, program: str, *, executable: bool = True) -> None:
        line = make_wheel(self.folder / "index", "uv", program, executable=executable)
        (self.folder / "requirements-uv.txt").write_text(line)

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "scripts.install", str(self.venv), str(self.lock)]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self) -> tuple[int, str]:
        """The exit status and the output."""
        with self.start() as process:
            output = process.communicate()[0]
        return process.returncode, output

    def installed(self) -> set[str]:
        command = [str(self.venv / "bin" / "python"), "-m", "pip", "list", "--format=freeze"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment)
        return {line.split("==")[0] for line in listed.stdout.splitlines()}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "index").mkdir()
    make_checkout(tmp_path)
    lock = tmp_path / "requirements.lock"
    lock.write_text(make_wheel(tmp_path / "index", "tiny"))
    calls = tmp_path / "uv-calls"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "index"),
        "UV_CALLS": str(calls),
    }
    made = Checkout(tmp_path, tmp_path / ".venv", lock, calls, environment)
    made.given_uv(STAND_IN_FOR_UV)
    return made


@pytest.fixture(scope="module")
def copy_of_a_venv(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """A new environment without the seconds that it costs to make one."""
    made = tmp_path_factory.mktemp("made") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", made], check=True)
    (made / WHOLE).touch()

    def copy(venv: Path) -> None:
        shutil.copytree(made, venv, symlinks=True)

    return copy


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("no wheel of it", "No matching distribution found for uv==1.0"),
        ("it fails", "error: this index is not for uv"),
        ("it cannot be run", "Permission denied"),
    ],
)
def test_pip_installs_where_uv_cannot_and_one_line_says_why(
    checkout: Checkout, copy_of_a_venv: Callable[[Path], None], what: str, reason: str
) -> None:
    copy_of_a_venv(checkout.venv)
    checkout.given_uv(FAILING_UV, executable=what != "it cannot be run")
    if what == "no wheel of it":
        (checkout.folder / "index" / "uv-1.0-py3-none-any.whl").unlink()

    status, output = checkout.install()

    assert status == 0
    (why,) = [line for line in output.splitlines() if line.startswith("uv cannot be used here")]
    assert reason in why
    assert {"tiny", "checkout"} <= checkout.installed()


def test_a_repeated_installation_keeps_what_the_user_installed_and_removes_what_nobody_uses(
    checkout: Checkout, copy_of_a_venv: Callable[[Path], None]
) -> None:
    copy_of_a_venv(checkout.venv)
    packages = next(checkout.venv.glob("lib/python*/site-packages"))
    (packages / "mine.py").touch()
    for name in UNUSED:
        (packages / name / "bin").mkdir(parents=True)

    assert checkout.install()[0] == 0

    assert "tiny" in checkout.installed()
    assert (packages / "mine.py").exists()
    assert not any((packages / name).exists() for name in UNUSED)


def test_an_interrupted_installation_is_begun_anew_and_nothing_of_uv_stays(
    checkout: Checkout, copy_of_a_venv: Callable[[Path], None]
) -> None:
    temporary = set(Path(gettempdir()).glob("chargehand-uv-*"))
    copy_of_a_venv(checkout.venv)
    half = checkout.venv / "half-installed"
    half.touch()
    checkout.given_uv(ENDLESS_UV)
    with checkout.start() as process:
        wait_until(checkout.uv_calls.exists, within_s=30)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)  # would last a minute if the program still held our output

    checkout.uv_calls.unlink()
    checkout.given_uv(STAND_IN_FOR_UV)
    status, output = checkout.install()

    assert (process.returncode, status) == (143, 0)
    assert not half.exists()
    assert output.splitlines()[-1].startswith(f"requirements.lock is installed in {checkout.venv}, after ")
    assert {"tiny", "checkout", "pip"} <= checkout.installed()
    assert len(checkout.uv_calls.read_text().splitlines()) == 2
    assert "uv" not in checkout.installed()
    assert set(Path(gettempdir()).glob("chargehand-uv-*")) <= temporary


def test_a_package_with_another_hash_is_refused_and_the_last_line_says_so(
    checkout: Checkout, copy_of_a_venv: Callable[[Path], None]
) -> None:
    copy_of_a_venv(checkout.venv)
    checkout.lock.write_text(checkout.lock.read_text()[:-5] + "0000\n")

    status, output = checkout.install()

    assert status == 1
    assert output.splitlines()[-1].startswith(
        "Nothing is installed: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
    )
    assert "tiny" not in checkout.installed()
    assert (checkout.venv / WHOLE).exists()


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    (checkout.venv / "thesis.txt").write_text("years of work")

    status, output = checkout.install()

    assert status == 1
    assert output.splitlines() == [
        f"Nothing is installed: {checkout.venv} exists, and is not a virtual environment"
    ]
    assert (checkout.venv / "thesis.txt").read_text() == "years of work"


def test_a_link_to_an_environment_is_refused_and_the_environment_left_alone(checkout: Checkout) -> None:
    somebodys = checkout.folder / "somebodys"
    somebodys.mkdir()
    (somebodys / "pyvenv.cfg").touch()
    checkout.venv.symlink_to(somebodys)

    status, output = checkout.install()

    assert status == 1
    assert output.splitlines() == [
        f"Nothing is installed: {checkout.venv} is a symbolic link, and must be created again: remove the link"
    ]
    assert (somebodys / "pyvenv.cfg").exists()


def test_a_long_step_says_that_it_still_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "REPORT_EVERY_S", 0.05)

    steps.step("Waiting", ["sleep", "0.2"])

    first, *more = capsys.readouterr().out.splitlines()
    assert first == "Waiting ..."
    assert len(more) >= 2
    assert set(more) == {"  ... 0 s"}


def test_uv_gets_the_indexes_and_certificates_of_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://a.example/simple\nextra-index-url =\n  https://b.example/simple\n"
        "  https://c.example/simple\ncert = /ca.pem\nno-cache-dir = true\n"
        "[install]\nfind-links = /one /two\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_INDEX_URL", "https://d.example/simple")
    monkeypatch.setenv("UV_NO_CACHE", "0")

    environment = uv_environment(pip_settings(Path(sys.executable)))

    assert environment["UV_DEFAULT_INDEX"] == "https://d.example/simple"
    assert environment["UV_INDEX"].split() == ["https://b.example/simple", "https://c.example/simple"]
    assert environment["UV_FIND_LINKS"] == "/one,/two"
    assert environment["SSL_CERT_FILE"] == "/ca.pem"
    assert environment["UV_NO_CACHE"] == "0"
