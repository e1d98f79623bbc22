"""Publish again every charger whose command or repair is open and that no worker has handled for a while.

So no command depends on a message: the queue may lose one, the row stays.
"""

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

SWEEP_LIMIT = 500  # chargers in one sweep: about what a pool handles before the next one
MAX_WAITING = 500  # messages on a queue: with more, its workers are busy, or no worker serves it
PUBLISH_AGAIN_AFTER = timedelta(seconds=10)  # unless a worker has handled the charger by then


def sweep(sessions: Sessions, celery: Celery) -> int:
    """Publish the chargers whose `publish_at` has passed, up to SWEEP_LIMIT. Returns how many.

    Safe to repeat; concurrent sweeps share the work. A later sweep publishes those whose queue has MAX_WAITING messages,
    or all of them if the broker is unavailable, which raises nothing.
    """
    with sessions.begin() as session:
        due = (
            select(Charger.id)
            .where(Charger.publish_at <= func.now())
            .order_by(Charger.publish_at)
            .limit(SWEEP_LIMIT)
            .with_for_update(key_share=True, skip_locked=True)
            .cte("due")  # executed once, so never more than the limit
        )
        chargers = session.execute(
            update(Charger)
            .where(Charger.id.in_(select(due.c.id)))
            .values(publish_at=func.now() + PUBLISH_AGAIN_AFTER)
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
        send(celery, messages, max_waiting=MAX_WAITING)
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
