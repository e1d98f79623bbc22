"""python -m scripts.lock [--upgrade | --check]: make the locks of pyproject.toml's dependencies, or compare them.

requirements.lock is what `make run` installs; requirements-dev.lock that and what the tests and linters need, in the
same versions; requirements-uv.txt the installer. Versions stay as they are while pyproject.toml allows them, unless
--upgrade takes the newest.
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
    try:
        if "--check" in options:
            check(ROOT)
        else:
            make_locks(ROOT, options)
    except Failed as error:
        sys.stderr.write(error.output)
        sys.exit(str(error))


def check(root: Path) -> None:
    """Raises Failed, naming the lock that was made for other dependencies. Needs no network."""
    mark = mark_of(root)
    for name in ARGUMENTS:
        file = root / name
        if not file.exists() or mark not in file.read_text().splitlines():
            raise Failed(f"{name} does not fit pyproject.toml: run make lock")


def make_locks(root: Path, options: tuple[str, ...]) -> None:
    """Raises Failed, also where the tests cannot have the versions that run."""
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
    """The line of a lock that says which dependencies it was made for; their order does not matter."""
    project = read_project(root)
    dependencies = [
        project["project"]["requires-python"],
        sorted(project["project"]["dependencies"]),
        {name: sorted(extra) for name, extra in project["project"]["optional-dependencies"].items()},
        {name: sorted(map(json.dumps, group)) for name, group in project["dependency-groups"].items()},
    ]
    return MARK + hashlib.sha256(json.dumps(dependencies, sort_keys=True).encode()).hexdigest()


def read_project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


if __name__ == "__main__":
    main(*sys.argv[1:])
