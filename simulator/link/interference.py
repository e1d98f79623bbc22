"""What may come between a charger and its CSMS on purpose."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from simulator.link.frames import Call

#: Logs and sends a frame: `put(action, text)`. Raises ConnectionClosed.
Put = Callable[[str, str], Awaitable[None]]


class Interference(Protocol):
    """The session consults it about frames only while it is `armed`."""

    @property
    def armed(self) -> bool: ...

    def replace_answer(self, call: Call) -> str | None:
        """The frame that answers this call of the CSMS instead of the charger; None: the charger answers."""

    async def send(self, action: str, text: str, put: Put) -> None:
        """Sends the frame as it is or spoiled: late, twice, or not at all. Raises ConnectionClosed."""

    async def settle(self) -> None:
        """Returns when nothing is held back any more."""
