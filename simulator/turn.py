"""The turn of a charger: how much CPU its answer to one call of the CSMS may take, in a process that it may share with others.

An exception is raised in what takes longer, by a signal, wherever it is. So it must not hit anything but that charger's own
code: not the event loop, not another charger, and not what they share (the log's writer, the control link).
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

#: Of CPU, so that a busy machine ends no answer. The handlers take 2 ms at most, measured with what a hostile CSMS sends. Two that
#: take too long at the same time delay the others by half a second.
TURN_S = 0.25

Result = TypeVar("Result")


class TurnTooLong(Exception):
    """What the charger was about is not done, and may be half done."""


class Turn:
    def __init__(self) -> None:
        self._is_limiting = False
        self._runs = False
        self._is_over = False
        self._is_held = False

    @contextmanager
    def limiting(self) -> Iterator[None]:
        """Turns have a limit meanwhile. In the main thread only; within another, it changes nothing."""
        if self._is_limiting:
            yield
            return
        before = signal.signal(signal.SIGVTALRM, lambda *_: self._end())
        self._is_limiting = True
        try:
            yield
        finally:
            self._is_limiting = False
            signal.signal(signal.SIGVTALRM, before)

    def take(self, act: Callable[[], Result]) -> Result:
        """What `act` returns. Raises TurnTooLong, also where `act` has taken that for an error of its own."""
        if not self._is_limiting:
            return act()
        self._is_over, self._runs = False, True
        signal.setitimer(signal.ITIMER_VIRTUAL, TURN_S)
        try:
            result = act()
        finally:
            self._runs = False  # from here on the signal raises nothing
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if self._is_over:
            raise TurnTooLong
        return result

    def hold(self, act: Callable[..., object], *arguments: object) -> None:
        """Calls what other chargers use, too. A turn that is over meanwhile ends after it."""
        if not self._runs or self._is_held:
            act(*arguments)
            return
        self._is_held = True
        try:
            act(*arguments)
        finally:
            self._is_held = False
            if self._is_over and self._runs:
                self._raise()

    def _end(self) -> None:
        """The signal has come."""
        if self._runs:
            self._is_over = True
            if not self._is_held:
                self._raise()

    def _raise(self) -> None:
        self._runs = False
        raise TurnTooLong


#: Of the process: there is one timer, and one charger at a time has its turn.
TURN = Turn()
