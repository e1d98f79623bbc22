"""Sorts environment variables: which belong to a stack, and which another process needs to join it."""

from collections.abc import Mapping

from shared.startup.environment import variables
from shared.startup.strays import ADDED, OF_LIBPQ

#: Which stores, broker and ECS a process uses. A name that ends with an underscore is a prefix.
SERVER_VARIABLES = (
    *("AWS_", "BROKER_URL", "CHARGEHAND_INSTALLATION", "CONTROL_", "DATABASE_URL", "ECS_", "REDIS_URL"),
    *OF_LIBPQ,
)
#: A worker does not read these: it verifies no tokens, and opens no secret of a charger.
API_VARIABLES = ("BIND", "ENCRYPTION_KEYS", "JWT_", "LINK_BIND")
#: Settings of one stack and of its Flower. A variable of a port, such as CSMS_PORT, also is one.
STACK_VARIABLES = ("CHARGEHAND_", "FLOWER_", "PORT", "STATE_DIR", "WORKERS")
#: Variables that a joining process needs in addition to our settings and AWS_*.
LIBRARY_VARIABLES = {"NO_PROXY", "STATE_DIR", "no_proxy", *ADDED}


def belongs_to_a_stack(name: str) -> bool:
    """Whether the variable decides which servers a stack uses, where it listens or which callers it accepts.

    A stack that must be independent of the shell is started without these variables.
    """
    return _is_one_of(name, (*SERVER_VARIABLES, *API_VARIABLES, *STACK_VARIABLES)) or name.endswith("_PORT")


def joining_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables with which a process uses the same database, broker and ECS as the stack's programs.

    `environment` is that of the stack's programs. Raises SettingsError.
    """
    ours = variables() | LIBRARY_VARIABLES
    return {
        name: value
        for name, value in sorted(environment.items())
        if (name in ours or name.startswith("AWS_")) and not _is_one_of(name, API_VARIABLES)
    }


def leads_elsewhere(name: str, joining: Mapping[str, str]) -> bool:
    """Whether a variable of the shell would lead a process with the `joining` variables to another server."""
    return _is_one_of(name, SERVER_VARIABLES) and name not in joining


def has_joined_a_stack(environment: Mapping[str, str]) -> bool:
    """Whether the terminal has run `chargehand env`."""
    return "CHARGEHAND_INSTALLATION" in environment


def without_servers(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables without those of SERVER_VARIABLES."""
    return {name: value for name, value in environment.items() if not _is_one_of(name, SERVER_VARIABLES)}


def _is_one_of(name: str, names: tuple[str, ...]) -> bool:
    """Whether `name` or its NAME_FILE is in `names`, or begins with a prefix in `names`."""
    plain = name.removesuffix("_FILE")
    return plain in names or plain.startswith(tuple(each for each in names if each.endswith("_")))
