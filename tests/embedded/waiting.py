"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def wait_until(is_true: Callable[[], object], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "still not true"
        time.sleep(0.02)
