"""Fetches uv with pip, in the version and with the hash of requirements-uv.txt.

uv installs many times faster than pip, and resolves locks for all platforms. It takes 60 MB, so it is deleted after use.
"""

import ast
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.steps import Failed, step

REQUIREMENT = "requirements-uv.txt"
PIP_INSTALL = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-compile")

#: pip's settings that have the same meaning in uv, with uv's variables.
NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
SWITCHES = {"no-index": "UV_NO_INDEX", "no-cache-dir": "UV_NO_CACHE"}
TRUE = {"1", "on", "t", "true", "y", "yes"}  # as pip reads a switch


@contextmanager
def fetched_uv(python: Path, root: Path) -> Iterator[Path]:
    """The program, for the length of a with-block. Raises Failed if there is none for this machine."""
    with TemporaryDirectory(prefix="chargehand-uv-") as folder:
        locked = ("--require-hashes", "--requirement", str(root / REQUIREMENT))
        only_the_wheel = ("--only-binary", ":all:", "--no-deps", "--target", folder)
        command = [str(python), *PIP_INSTALL, *locked, *only_the_wheel]
        step("Fetching uv, which installs faster than pip", command, env=pip_environment())
        program = Path(folder, "bin", "uv")
        if not program.exists():
            raise Failed(f"{REQUIREMENT} brought no program")
        yield program


def pip_environment() -> dict[str, str]:
    """This environment, without a setting that pip refuses in a virtual environment."""
    return os.environ | {"PIP_USER": "0"}


def uv_environment(pip_settings: Mapping[str, str]) -> dict[str, str]:
    """This environment, with pip's indexes, certificates and timeouts, unless it sets uv's own."""
    translated = {NAMES[name]: value for name, value in pip_settings.items() if name in NAMES}
    translated |= {SWITCHES[name]: "1" for name in SWITCHES if pip_settings.get(name, "").lower() in TRUE}
    if "UV_FIND_LINKS" in translated:
        translated["UV_FIND_LINKS"] = ",".join(translated["UV_FIND_LINKS"].split())
    if "UV_INDEX" in translated:  # as pip does; the hashes of the lock decide what is installed
        translated["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    environment = {name: value for name, value in os.environ.items() if name != "UV_SYSTEM_PYTHON"}
    return translated | {"UV_PYTHON_DOWNLOADS": "never"} | environment


def pip_settings(python: Path) -> dict[str, str]:
    """The settings of pip's files and variables. A setting of `install` goes before a global one."""
    command = [str(python), "-m", "pip", "config", "list"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, env=pip_environment())
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in shown.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in found:
            found[section][name] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]
