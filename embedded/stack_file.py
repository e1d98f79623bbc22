"""stack.json in the state folder: where the parts of a running stack are, for whoever uses or joins it.

It exists while the stack is ready, and only its owner can read it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedded.secret_file import write_private

STACK_FILE = "stack.json"

#: What a process needs to join: these variables, and all whose names begin so.
JOINING = ("BROKER_URL", "CHARGEHAND_ENV", "DATABASE_URL", "NO_PROXY", "REDIS_URL", "STATE_DIR", "no_proxy")
JOINING_PREFIXES = ("AWS_", "ECS_", "JWT_")


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
    """What `stack.json` says, and the one line of `chargehand up --json`."""
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
        "environment": joining_variables(os.environ),
    }


def joining_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that a worker, beat or migrate process must share with the stack."""
    return {name: value for name, value in environment.items() if is_joining(name)}


def is_joining(name: str) -> bool:
    return name in JOINING or name.startswith(JOINING_PREFIXES)


def write_stack_file(folder: Path, description: Mapping[str, Any]) -> None:
    """Replace it as a whole."""
    write_private(folder / STACK_FILE, json.dumps(description) + "\n")


def remove_stack_file(folder: Path) -> None:
    """Safe to repeat."""
    (folder / STACK_FILE).unlink(missing_ok=True)
