"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def wait_until(is_true: Callable[[], object], within_s: float = 10, what: str = "it is true") -> None:
    """Raises AssertionError, with `what`, if it does not become true in time."""
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
