"""Which variables belong to a stack, and which of them another process needs to join a running one."""

from collections.abc import Mapping

from shared.startup.environment import variables
from shared.startup.strays import ADDED, OF_LIBPQ

#: Where a process works: a store, a broker or an ECS. One that ends with an underscore is the beginning of many names.
PLACES = (
    *("AWS_", "BROKER_URL", "CHARGEHAND_INSTALLATION", "DATABASE_URL", "ECS_", "REDIS_URL"),
    *OF_LIBPQ,
)
#: Read by the API alone. A worker needs no way to verify tokens, so the secret is not handed on.
OF_THE_API = ("BIND", "JWT_")
#: Which stack, how many programs it has, and who may use its Flower. Any port (CSMS_PORT) is one more.
OF_ONE_STACK = ("CHARGEHAND_", "FLOWER_", "PORT", "STATE_DIR", "WORKERS")
#: What joining takes besides our settings and AWS_*.
OF_LIBRARIES = {"NO_PROXY", "STATE_DIR", "no_proxy", *ADDED}


def belongs_to_a_stack(name: str) -> bool:
    """Whether the variable decides where a stack works, where it listens or whom it lets in.

    A stack that must not touch what the variables of somebody's shell name is started without them.
    """
    return _is_one_of(name, (*PLACES, *OF_THE_API, *OF_ONE_STACK)) or name.endswith("_PORT")


def joining_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment`, the one that the stack's own programs run in, that decide where they work.

    A process with these variables uses the same database, broker and ECS. Raises SettingsError.
    """
    ours = variables() | OF_LIBRARIES
    return {
        name: value
        for name, value in sorted(environment.items())
        if (name in ours or name.startswith("AWS_")) and not _is_one_of(name, OF_THE_API)
    }


def leads_elsewhere(name: str, joining: Mapping[str, str]) -> bool:
    """Whether a variable of somebody's shell would take a process with the `joining` variables to another place."""
    return _is_one_of(name, PLACES) and name not in joining


def has_joined_a_stack(environment: Mapping[str, str]) -> bool:
    """Whether these are the variables of a terminal that has run `chargehand env`."""
    return "CHARGEHAND_INSTALLATION" in environment


def without_places(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables but those that say where a process works."""
    return {name: value for name, value in environment.items() if not _is_one_of(name, PLACES)}


def _is_one_of(name: str, names: tuple[str, ...]) -> bool:
    """Whether it is, by value or as the name of a file (NAME_FILE)."""
    plain = name.removesuffix("_FILE")
    return plain in names or plain.startswith(tuple(each for each in names if each.endswith("_")))
