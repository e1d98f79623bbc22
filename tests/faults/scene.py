"""What a fault has to work with: the product, and the clients that call it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.load import Load
from tests.faults.rig import Rig
from tests.support.waiting import wait_until

UNAVAILABLE = 503  # with Retry-After: the database does not answer
NO_ANSWER = 0  # the connection ended


@dataclass(frozen=True)
class Scene:
    """The product and its clients under a fault, with dice of its own, so that a seed repeats it."""

    rig: Rig
    load: Load
    dice: random.Random

    def until_accepted(self, count: int, within_s: float = 20) -> None:
        """Wait for this many more accepted commands."""
        enough = len(self.load.accepted) + count
        wait_until(lambda: len(self.load.accepted) >= enough, within_s, f"{count} more commands accepted")

    def until_unavailable(self, count: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait for this many answers that the database is unavailable."""

        def enough() -> bool:
            meanwhile()
            return sum(answer.status == UNAVAILABLE for answer in list(self.load.answers)) >= count

        wait_until(enough, 60, f"{count} answers of 503")
