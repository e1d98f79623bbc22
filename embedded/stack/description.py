"""stack.json in the state folder: where the parts of a running stack are, for whoever uses or joins it.

It exists while the stack is ready, and only its owner can read it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedded.secret_file import write_private
from embedded.stack.joining import joining_environment
from embedded.stack.state_folder import STACK_FILE


def stack_description(
    *,
    api: str,
    flower: str,
    csms: str,
    ecs: str,
    database: str,
    redis: str,
    folder: Path,
    flower_user: str,
    flower_password: str,
    organization: str,
    token: str | None,
) -> dict[str, Any]:
    """What `stack.json` says, and the one line of `chargehand up --json`. Raises SettingsError."""
    return {
        "pid": os.getpid(),
        "api": api,
        "docs": f"{api}/docs",
        "flower": flower,
        "flower_user": flower_user,
        "flower_password": flower_password,
        "csms": csms,
        "ecs": ecs,
        "database": database.replace("+psycopg", ""),  # as psql takes it
        "redis": redis,
        "logs": str(folder / "logs"),
        "organization": organization,
        "token": token,
        "environment": joining_environment(os.environ),
    }


def write_stack_file(folder: Path, description: Mapping[str, Any]) -> None:
    """Replace it as a whole."""
    write_private(folder / STACK_FILE, json.dumps(description) + "\n")


def remove_stack_file(folder: Path) -> None:
    """Safe to repeat."""
    (folder / STACK_FILE).unlink(missing_ok=True)
