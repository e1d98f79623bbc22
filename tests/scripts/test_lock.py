import shutil
from pathlib import Path

import pytest

from scripts.lock import ARGUMENTS, check
from scripts.steps import Failed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with our dependencies and their locks."""
    for name in ("pyproject.toml", *ARGUMENTS):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_locks_fit_the_dependencies_of_the_project() -> None:
    check(ROOT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"celery>=5.6.3,<5.7"', '"celery>=5.6.4,<5.7"'),
        ('"flower', '"flask-cors",\n  "flower'),
        ('"moto>', '"moto[server]>'),
        ('  "types-psutil",\n', ""),
        ('requires-python = ">=3.11"', 'requires-python = ">=3.12"'),
    ],
)
def test_a_lock_that_was_made_for_other_dependencies_is_named_in_one_line(
    copied: Path, old: str, new: str
) -> None:
    change(copied / "pyproject.toml", old, new)

    with pytest.raises(Failed, match=r"^requirements\.lock does not fit pyproject\.toml: run make lock$"):
        check(copied)


def test_a_missing_lock_does_not_fit(copied: Path) -> None:
    (copied / "requirements-dev.lock").unlink()

    with pytest.raises(Failed, match=r"^requirements-dev\.lock does not fit"):
        check(copied)


def test_what_is_no_dependency_needs_no_new_lock(copied: Path) -> None:
    change(copied / "pyproject.toml", "line-length = 110", "line-length = 111")

    check(copied)


def test_a_lock_names_hashes_and_no_index() -> None:
    for name in ARGUMENTS:
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_make_run_installs_no_tool_of_the_tests_and_the_tests_run_with_its_versions() -> None:
    run, dev = (
        (ROOT / name).read_text().splitlines() for name in ("requirements.lock", "requirements-dev.lock")
    )
    pins, pins_of_tests = (
        {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}
        for lines in (run, dev)
    )

    assert pins <= pins_of_tests
    assert not {pin.split("==")[0] for pin in pins} & {
        "cfn-lint", "coverage", "hypothesis", "mypy", "pip", "pytest", "ruff", "sympy", "uv",
    }  # fmt: skip
