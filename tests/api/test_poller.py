"""A poller continues after any error, because waits and streams depend on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from sqlalchemy import Engine

from api.poller import Poller
from shared.database.engine import make_engine
from tests.support.waiting import wait_until


@contextmanager
def running(poller: Poller) -> Iterator[None]:
    poller.ensure_running()
    yield
    poller.close()


def nowhere() -> Engine:
    return make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize("cause", ["an internal error", "an unavailable database"])
def test_a_poller_goes_on_after_an_error_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    monkeypatch.setattr("api.poller.PAUSE_AFTER_FAILURE_S", 0.001)
    polled = 0

    def poll() -> None:
        nonlocal polled
        polled += 1
        if polled <= 3 and cause == "an unavailable database":
            nowhere().connect()
        if polled <= 3:
            raise ValueError("nobody foresaw this")

    poller = Poller("test", poll, wanted=lambda: True, every_s=0.001)
    with structlog.testing.capture_logs() as lines, running(poller):
        wait_until(lambda: polled >= 6)

    assert [line["event"] for line in lines] == ["poller.failing", "poller.works_again"]
    assert lines[0]["exc_info"] == (cause == "an internal error")


def test_a_poller_that_could_not_start_starts_when_it_is_wanted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polled = threading.Event()
    poller = Poller("test", polled.set, wanted=lambda: True, every_s=0.001)

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        poller.ensure_running()
    with running(poller):
        assert polled.wait(5)
