"""Which host this process is, and how many chargers it may run."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.control.settings import ControlSettings, read_control_settings
from simulator.settings import BadSettings

DEFAULT_CAPACITY = 1_000
MAX_CAPACITY = 5_000
MAX_MEMORY_MIB = 2**20

#: File descriptors that the process itself needs, beside one per charger.
OWN_DESCRIPTORS = 50

#: Variables that only a charger with a process of its own can have: its file and its port would be those of all.
OF_ONE_CHARGER = frozenset(
    {"CHARGER_STATE_FILE", "CHARGER_HTTP_PORT", "CHARGER_HTTP_HOST", "CHARGER_HTTP_TOKEN"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    control: ControlSettings
    capacity: int
    memory_bytes: int | None  #: of its task; None: nobody says
    environ: Mapping[str, str]  #: what its chargers have of it, beside their specifications


def read_host_settings(environ: Mapping[str, str]) -> HostSettings:
    """Raises BadSettings. An empty variable counts as absent."""
    control = read_control_settings(environ, "HOST_ID")
    if control is None:
        raise BadSettings("CHARGER_CONTROL_URL is missing: a host learns there which chargers it runs")
    return HostSettings(
        control=control,
        capacity=_capacity(environ.get("HOST_CAPACITY", "").strip()),
        memory_bytes=_memory_bytes(environ.get("HOST_MEMORY_MIB", "").strip()),
        environ={name: value for name, value in environ.items() if name not in OF_ONE_CHARGER},
    )


def _capacity(text: str) -> int:
    if not text:
        return DEFAULT_CAPACITY
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CAPACITY):
        raise BadSettings(f"HOST_CAPACITY must be a whole number from 1 to {MAX_CAPACITY}, not {text!r}")
    return int(text)


def _memory_bytes(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_MEMORY_MIB):
        raise BadSettings(f"HOST_MEMORY_MIB must be a whole number from 1 to {MAX_MEMORY_MIB}, not {text!r}")
    return int(text) * 2**20


def room_for(capacity: int) -> int:
    """How many chargers the process has room for: the capacity, or what the system's limit of descriptors leaves.

    Raises the soft limit as far as it needs and may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = capacity + OWN_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return capacity if soft == resource.RLIM_INFINITY else max(min(capacity, soft - OWN_DESCRIPTORS), 1)
