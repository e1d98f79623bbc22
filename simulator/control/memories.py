"""What the chargers remember, which travels to the link so that the next process has it."""

from collections.abc import Callable, Iterator
from typing import Any

from simulator.control.cadence import Cadence
from simulator.control.hosted import Hosted

Frame = dict[str, Any]

#: No charger sends its memory more often.
EVERY_S = 3.0

#: From a change until it is sent: what follows at once goes with it.
SOON_S = 0.2


class Memories:
    def __init__(self, on_due: Callable[[], object]) -> None:
        """`on_due` is called when there is something for `take`."""
        self._changed: dict[str, Hosted] = {}
        self._cadence = Cadence(on_due, soon_s=SOON_S, every_s=EVERY_S)

    def note(self, hosted: Hosted) -> None:
        """This charger has something else to remember. Without a session it waits for the next one."""
        self._changed[hosted.id] = hosted
        self._cadence.prompt()

    def take(self) -> Iterator[Frame]:
        """The memories that have changed since the last call."""
        changed, self._changed = self._changed, {}
        for hosted in changed.values():
            if hosted.charge_point is not None:
                yield {"charger": hosted.id, "memory": hosted.charge_point.memory.snapshot()}
