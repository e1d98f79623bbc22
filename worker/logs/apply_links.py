"""Apply the links that a page wrote to their chargers, where lists and events show them, and prune links of old tasks.

A charger's row is locked only for this, some milliseconds, after the page was committed. `charger_links.noted` is false
until then, so a link is applied even if its worker ends in between.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import Charger, ChargerLink
from shared.vocabulary import Placement

MAX_LINKS = 100  # in one transaction, which locks their chargers' rows for some milliseconds
MAX_TASKS = 5  # whose links are kept per charger; an older task can only have lines that come hours late

_KEY = tuple_(ChargerLink.charger_id, ChargerLink.task_id)


def apply_links(sessions: Sessions, settle_s: float) -> None:
    """Apply all links that are not applied yet, and make the chargers due whose running task must be found out.

    Links that another transaction holds are left to the next call. Safe to repeat, also concurrently.
    """
    applied = MAX_LINKS
    while applied == MAX_LINKS:
        with sessions.begin() as session:
            applied = _apply_some(session, settle_s)


def link_in_doubt(settle_s: float) -> ColumnElement[bool]:
    """The condition that a charger has a link, and that its running task may be another one than the row says.

    That is so when the recorded task has ended or is of an older generation, or when another task's log was read after the
    recorded task was last seen, or up to `settle_s` before, because ECS may answer with an older state. It is never so for
    a first generation whose task was not seen yet: its create has started every task that it has.
    """
    may_run = or_(
        Charger.running_task_seen_at.is_(None),
        ChargerLink.first_read_at > Charger.running_task_seen_at - timedelta(seconds=settle_s),
    )
    another = ChargerLink.task_id.is_distinct_from(Charger.running_task_id)
    return and_(
        Charger.desired_count == 1,
        Charger.placement == Placement.DEDICATED,  # a host names the start that runs
        or_(Charger.generation > 1, Charger.rollout_at.is_not(None), Charger.running_task_arn.is_not(None)),
        exists().where(
            ChargerLink.charger_id == Charger.id,
            or_(
                Charger.running_task_generation.is_distinct_from(Charger.generation),
                Charger.running_task_ended_at.is_not(None),
                and_(another, may_run),
            ),
        ),
    )


def _apply_some(session: Session, settle_s: float) -> int:
    """Apply up to MAX_LINKS links that no other transaction holds. Returns how many."""
    links = session.execute(
        select(ChargerLink.charger_id, ChargerLink.task_id)
        .join(Charger, Charger.id == ChargerLink.charger_id)
        .where(~ChargerLink.noted)
        .order_by(ChargerLink.charger_id, ChargerLink.task_id)
        .limit(MAX_LINKS)
        .with_for_update(key_share=True, skip_locked=True)
    ).all()
    if not links:
        return 0
    charger_ids = sorted({link.charger_id for link in links})
    in_doubt = and_(Charger.observe_at.is_not(None), link_in_doubt(settle_s))
    session.execute(
        update(Charger)
        .where(Charger.id.in_(charger_ids))
        .values(
            link_noted_at=func.clock_timestamp(),  # a trigger then sets the link columns and adds events
            observe_at=case((in_doubt, func.least(Charger.observe_at, func.now())), else_=Charger.observe_at),
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(ChargerLink)
        .where(_KEY.in_(links))
        .values(noted=True)
        .execution_options(synchronize_session=False)
    )
    _prune(session, charger_ids)
    return len(links)


def _prune(session: Session, charger_ids: list[str]) -> None:
    """Delete links of all tasks but the running one and the MAX_TASKS whose logs were first read last."""
    by_age = func.row_number().over(
        partition_by=ChargerLink.charger_id, order_by=ChargerLink.first_read_at.desc()
    )
    ranked = (
        select(ChargerLink.charger_id, ChargerLink.task_id, by_age.label("age"))
        .join(Charger, Charger.id == ChargerLink.charger_id)
        .where(
            ChargerLink.charger_id.in_(charger_ids),
            ChargerLink.task_id.is_distinct_from(Charger.running_task_id),
        )
        .subquery("ranked")
    )
    old = select(ranked.c.charger_id, ranked.c.task_id).where(ranked.c.age > MAX_TASKS)
    free = session.execute(
        select(ChargerLink.charger_id, ChargerLink.task_id)
        .where(_KEY.in_(old))
        .with_for_update(skip_locked=True)
    ).all()
    if free:
        session.execute(
            delete(ChargerLink).where(_KEY.in_(free)).execution_options(synchronize_session=False)
        )
