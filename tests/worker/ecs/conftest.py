"""A rate budget of its own for each test."""

from collections.abc import Iterator

import pytest
import redis

from shared.settings import BudgetSettings
from worker.ecs import turns

QUICK = {"service_changes": "20/5"}  # 20 calls per second after 5


@pytest.fixture
def budget_settings(redis_url: str) -> Iterator[BudgetSettings]:
    """Full buckets and empty queues."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("chargehand:ecs:*"):
            client.delete(key)
    yield BudgetSettings(redis_url=redis_url, share=1, quotas=QUICK)


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread sleeps for its turn."""
    monkeypatch.setattr(turns, "MAX_SLEEP_S", 0.0)
