"""Makes or checks the locks of pyproject.toml's dependencies: python -m scripts.lock [--upgrade | --check].

requirements.lock is what `make run` installs. requirements-dev.lock has the same versions, and what the tests and
linters need. requirements-uv.txt has the installer. A version stays while pyproject.toml allows it, unless --upgrade
takes the newest.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from scripts.steps import Failed, step
from scripts.uv import REQUIREMENT, fetched_uv, pip_settings, uv_environment

ROOT = Path(__file__).parents[1]
RUN, DEV = "requirements.lock", "requirements-dev.lock"
MARK = "# for the dependencies of pyproject.toml with the SHA-256 "

COMPILE = ("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header")
ARGUMENTS = {
    RUN: ("pyproject.toml", "--extra", "embedded", "--group", "checkout"),
    DEV: ("pyproject.toml", "--extra", "embedded", "--group", "dev", "--constraint", RUN),
    REQUIREMENT: ("--group", "installer"),
}


def main(*options: str) -> None:
    """Make or check the locks, or exit with the reason."""
    try:
        if "--check" in options:
            check(ROOT)
        else:
            make_locks(ROOT, options)
    except Failed as error:
        sys.stderr.write(error.output)
        sys.exit(str(error))


def check(root: Path) -> None:
    """Raises Failed with the name of a lock that was made for other dependencies. Needs no network."""
    mark = mark_of(root)
    for name in ARGUMENTS:
        file = root / name
        if not file.exists() or mark not in file.read_text().splitlines():
            raise Failed(f"{name} does not fit pyproject.toml: run make lock")


def make_locks(root: Path, options: tuple[str, ...]) -> None:
    """Write the locks. Raises Failed, also if the tests cannot use the versions of requirements.lock."""
    python = Path(sys.executable)
    project = read_project(root)["project"]
    oldest = ("--python-version", project["requires-python"].removeprefix(">="))
    with fetched_uv(python, root) as uv:
        environment = uv_environment(pip_settings(python))
        for name, arguments in ARGUMENTS.items():
            command = [str(uv), *COMPILE, *oldest, *arguments, *options, "--output-file", name]
            step(f"Making {name}", command, env=environment, folder=root)
            file = root / name
            file.write_text(f"# Made by make lock\n{mark_of(root)}\n{file.read_text()}")


def mark_of(root: Path) -> str:
    """The line of a lock that identifies the dependencies it was made for. Their order does not matter."""
    project = read_project(root)
    dependencies = [
        project["project"]["requires-python"],
        sorted(project["project"]["dependencies"]),
        {name: sorted(extra) for name, extra in project["project"]["optional-dependencies"].items()},
        {name: sorted(map(json.dumps, group)) for name, group in project["dependency-groups"].items()},
    ]
    return MARK + hashlib.sha256(json.dumps(dependencies, sort_keys=True).encode()).hexdigest()


def read_project(root: Path) -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())


if __name__ == "__main__":
    main(*sys.argv[1:])
