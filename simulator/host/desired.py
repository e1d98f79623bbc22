"""What the control link says that a charger of a host shall be."""

from dataclasses import dataclass, field
from typing import Any

from simulator.charge_point.memory import State
from simulator.control.client import read_spec
from simulator.control.frames import Frame
from simulator.control.hosted import Spec
from simulator.control.memories import with_secrets


@dataclass(frozen=True, slots=True)
class Desired:
    generation: int = -1  #: of the newest change that was recorded; 0: the link knows no such charger here
    is_on: bool = False
    restart_generation: int = 0  #: a start of an earlier one is to be replaced
    leaves: bool = False  #: the host removes it when it is off
    spec: Spec | None = None
    memory: State | None = field(default=None, repr=False)


def read_desired(entry: Frame) -> Desired:
    """Raises LookupError, TypeError or ValueError."""
    spec: Any = entry.get("spec")
    return Desired(
        generation=int(entry["generation"]),
        is_on=entry["desired_count"] == 1,
        restart_generation=int(entry.get("restart_generation") or 0),
        leaves=bool(entry.get("leaving", False)),
        spec=None if spec is None else read_spec(spec),
        memory=with_secrets(entry.get("memory")),
    )
