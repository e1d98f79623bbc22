"""What a worker's settings say of hosts."""

from dataclasses import dataclass

from worker.hosts.hints import Hints


@dataclass(frozen=True, slots=True)
class Hosting:
    """How a worker places chargers on hosts. One per process."""

    capacity: int  #: chargers of a new host
    hints: Hints
