"""Publish again what is open and has not moved. A queue may lose anything; a row may not."""

from datetime import timedelta
from typing import Any

import structlog
from celery import Celery
from sqlalchemy import func, select, update

from shared.broker.app import BROKER_ERRORS, send
from shared.database.engine import Sessions
from shared.fleet.locking import lock_chargers
from shared.models import Charger
from shared.queues import TASK_OF, Message, TaskName, message
from shared.vocabulary import EventType

log = structlog.get_logger(__name__)

SWEEP_LIMIT = 500  # chargers in one sweep: what a pool takes in before the next one
MOST_WAITING = 500  # messages on a queue: with more, workers have enough to do, or nobody serves it
#: How long the sweep leaves a charger alone that it just published.
PUBLISH_AGAIN = timedelta(seconds=10)


def sweep(sessions: Sessions, celery: Celery) -> int:
    """Publish every charger whose time has come. Returns how many. Two sweeps at once share the work.

    What would go to a queue that is full already waits for a later sweep.
    """
    with sessions.begin() as session:
        due = (
            select(Charger.id)
            .where(Charger.publish_at <= func.now())
            .order_by(Charger.publish_at)
            .limit(SWEEP_LIMIT)
            .with_for_update(key_share=True, skip_locked=True)
        )
        chargers = session.execute(
            update(Charger)
            .where(Charger.id.in_(due.scalar_subquery()))
            .values(publish_at=func.now() + PUBLISH_AGAIN)
            .returning(
                Charger.id,
                Charger.newest_command_id,
                Charger.newest_event_type,
                Charger.generation,
                Charger.desired_count,
                Charger.observed_generation,
                Charger.drifted_at,
                Charger.rollout_hash,
            )
        ).all()
    if chargers:
        _publish(sessions, celery, [_hint(charger) for charger in chargers])
    return len(chargers)


def _hint(charger: Any) -> tuple[TaskName, Message]:
    task = TASK_OF[EventType(charger.newest_event_type)]
    if charger.drifted_at is not None and charger.observed_generation >= charger.generation:
        task = TaskName.REPAIR if charger.rollout_hash is None else TaskName.ROLL_OUT
    return (
        task,
        message(
            charger_id=charger.id,
            command_id=charger.newest_command_id,
            event_type=charger.newest_event_type,
            generation=charger.generation,
            desired_count=charger.desired_count,
        ),
    )


def _publish(sessions: Sessions, celery: Celery, messages: list[tuple[TaskName, Message]]) -> None:
    try:
        send(celery, messages, max_waiting=MOST_WAITING)
    except BROKER_ERRORS as error:
        log.warning("broker.away", error=str(error), left_to_the_next_sweep=len(messages))
        unsent = [item["charger_id"] for _, item in messages]
        with sessions.begin() as session:
            lock_chargers(session, unsent)
            session.execute(
                update(Charger)
                .where(Charger.id.in_(unsent), Charger.publish_at.is_not(None))
                .values(publish_at=func.now())
            )
