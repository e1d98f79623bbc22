"""Writes stack.json, which has the addresses and the credentials of a running stack, for clients and for more workers.

The file is in the state folder while the stack is ready. Only its owner can read it.
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
    link: str,
    database: str,
    redis: str,
    folder: Path,
    flower_user: str,
    flower_password: str,
    organization: str,
    token: str | None,
) -> dict[str, Any]:
    """The content of stack.json and of the line of `chargehand up --json`. Raises SettingsError."""
    return {
        "pid": os.getpid(),
        "api": api,
        "docs": f"{api}/docs",
        "flower": flower,
        "flower_user": flower_user,
        "flower_password": flower_password,
        "csms": csms,
        "ecs": ecs,
        "link": link,
        "database": database.replace("+psycopg", ""),  # the form that psql takes
        "redis": redis,
        "logs": str(folder / "logs"),
        "organization": organization,
        "token": token,
        "environment": joining_environment(os.environ),
    }


def write_stack_file(folder: Path, description: Mapping[str, Any]) -> None:
    """Replace the file atomically. Raises OSError."""
    write_private(folder / STACK_FILE, json.dumps(description) + "\n")


def remove_stack_file(folder: Path) -> None:
    """Remove the file if it exists. Safe to repeat."""
    (folder / STACK_FILE).unlink(missing_ok=True)
