from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from shared.database import Sessions
from shared.models import ChargerEvent, FleetSpec, IdempotencyKey
from tests.worker.conftest import World
from worker import forget
from worker.forget import forget_events, forget_keys, forget_specs


def test_idempotency_keys_are_forgotten_after_a_day_however_many(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "BATCH", 2)
    with sessions.begin() as session:
        for number, hours in enumerate([23, 24, 25, 26, 27, 28]):
            session.add(
                IdempotencyKey(
                    organization_id="acme",
                    route="POST /ocpp/chargers",
                    key=f"key-{number}",
                    body_hash=b"",
                    created_at=func.now() - timedelta(hours=hours, seconds=1),
                )
            )

    forgotten = forget_keys(sessions)

    with sessions() as session:
        left = session.scalars(select(IdempotencyKey.key)).all()
    assert (forgotten, left) == (5, ["key-0"])
    assert forget_keys(sessions) == 0


def test_events_are_forgotten_with_the_logs(world: World) -> None:
    world.ready()
    with world.sessions.begin() as session:
        count = session.scalars(select(func.count()).select_from(ChargerEvent)).one()
        session.execute(
            update(ChargerEvent)
            .where(ChargerEvent.type == "status")
            .values(at=func.now() - timedelta(days=8))
        )

    forgotten = forget_events(world.sessions, 7)

    with world.sessions() as session:
        left = session.scalars(select(ChargerEvent.type)).all()
    assert forgotten == count - len(left) > 0
    assert set(left) == {"command"}


def test_settings_that_no_worker_has_any_more_are_forgotten(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.add(FleetSpec(hash="old", seen_at=func.now() - timedelta(days=2)))
        session.add(FleetSpec(hash="new"))

    forgotten = forget_specs(sessions)

    with sessions() as session:
        assert (forgotten, session.scalars(select(FleetSpec.hash)).all()) == (1, ["new"])
