"""How a worker waits for its broker."""

from time import monotonic

import pytest

from embedded.ports import free_port
from shared.broker.app import BROKER_ERRORS, make_celery
from worker.broker.consumer import ReconnectingConsumer
from worker.outage_log import OutageLog


def test_an_attempt_to_reach_a_broker_that_is_away_does_not_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """kombu's own `connect` sleeps for 2 s before its second attempt, and a worker that must stop waits for that."""
    monkeypatch.setattr(ReconnectingConsumer, "_outage", OutageLog("broker", *BROKER_ERRORS))
    consumer = ReconnectingConsumer.__new__(ReconnectingConsumer)
    consumer.app = make_celery(f"redis://127.0.0.1:{free_port()}/0", publisher=False)
    began = monotonic()

    assert not consumer._broker_is_ready()
    assert monotonic() - began < 1
