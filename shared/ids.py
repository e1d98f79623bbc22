"""Identifiers: sortable by creation, safe in a URL and as an ECS service name."""

import uuid

from uuid_utils.compat import uuid7

#: Of the id of a host: no charger's begins with it.
HOST_PREFIX = "host-"


def new_charger_id() -> str:
    """`dep-` and 32 hex digits that grow with time."""
    return f"dep-{uuid7().hex}"


def new_host_id() -> str:
    """`host-` and 32 hex digits that grow with time."""
    return f"{HOST_PREFIX}{uuid7().hex}"


def new_location_id() -> str:
    """A UUID that grows with time."""
    return str(uuid7())


def new_command_id() -> uuid.UUID:
    """A UUID that grows with time, so the primary key's index grows at its end."""
    return uuid7()


def new_run_id() -> str:
    """`workflow_run_id` of the contract, for debugging only."""
    return f"wfr_{uuid7().hex}"
