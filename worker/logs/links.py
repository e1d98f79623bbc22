"""What the log lines say of the chargers' links to their CSMSs: into charger_links, and from there into lists and events.

A link has a row per ECS task, because only the observer knows which task runs, and host clocks do not tell older tasks
from newer ones. What clients see of it is put together when they read it (`shown_link` in the database).

The rows are written with the page that they come from, without a lock that a start or stop waits for. Lists and events
need the charger's own row: it is changed after that, for a moment, some chargers at a time. The rows that still wait for
it are marked, so nothing is missed when a worker ends between the two.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import Charger, ChargerLink
from shared.vocabulary import OcppState

NOTE_LIMIT = 100  # links in one statement: it holds their chargers' rows for some milliseconds
KEPT_TASKS = 5  # of a charger; older ones can be read again only from lines that come hours late

NO_LINK_YET = (OcppState.DISCONNECTED, OcppState.CONNECTING)


def write_links(session: Session, lines: Iterable[dict[str, Any]]) -> None:
    """The newest state of each task's link, and when it last heard or said something. Safe to repeat.

    Chargers may be deleted meanwhile: those that are there stay until the transaction ends. That lock keeps nobody
    waiting who changes a charger.
    """
    links = _newest(lines)
    if not links:
        return
    there = set(
        session.scalars(
            select(Charger.id)
            .where(Charger.id.in_({charger_id for charger_id, _ in links}))
            .order_by(Charger.id)
            .with_for_update(read=True, key_share=True)
        )
    )
    rows = [links[key] for key in sorted(links) if key[0] in there]
    if rows:
        session.connection().execute(_WRITE, {name: [row[name] for row in rows] for name in _COLUMNS})


def note_links(sessions: Sessions, settle_s: float) -> None:
    """Take over into lists and events what is new, and have the observer find out which task runs where it is in doubt.

    What somebody else has locked at the moment is left for the next time. Safe to repeat, and at once.
    """
    noted = NOTE_LIMIT
    while noted == NOTE_LIMIT:
        with sessions.begin() as session:
            noted = _note_some(session, settle_s)


def link_in_doubt(settle_s: float) -> ColumnElement[bool]:
    """A task speaks, and it is not certain whether that one runs, or the one that was seen to run.

    Never so for a first generation of which no task was ever seen: all tasks that it had were started by its create.
    Otherwise so when the task that was seen to run has ended, or is of an older generation, and when another one was heard
    of later than that, or not much earlier, because ECS may answer with what was true some seconds ago.
    """
    may_run = or_(
        Charger.running_task_seen_at.is_(None),
        ChargerLink.first_read_at > Charger.running_task_seen_at - timedelta(seconds=settle_s),
    )
    another = ChargerLink.task_id.is_distinct_from(Charger.running_task_id)
    return and_(
        Charger.desired_count == 1,
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


def _newest(lines: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """By charger and task: a row as these lines alone make it."""
    links: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        key = (line["charger_id"], line["task_id"])
        link = links.setdefault(key, dict.fromkeys(_COLUMNS) | dict(zip(_KEYS, key, strict=True)))
        if line["type"] == "frame":
            link["last_frame_at"] = max(link["last_frame_at"] or line["at"], line["at"])
        elif line.get("state") in list(OcppState) and line["at"] >= (link["since"] or line["at"]):
            link["reason"] = _reason(line, link)
            link["state"], link["since"] = line["state"], line["at"]
    return {key: link for key, link in links.items() if link["since"] or link["last_frame_at"]}


def _reason(line: dict[str, Any], before: dict[str, Any]) -> str | None:
    """In plain words. A new try does not say why there is no link yet: the failed one before does."""
    if line["state"] != OcppState.CONNECTING:
        return storable(line.get("detail") or line.get("reason"))
    reason: str | None = before["reason"] if before["state"] in NO_LINK_YET else None
    return reason


def storable(value: Any) -> str | None:
    """JSON may hold NUL and halves of surrogate pairs, PostgreSQL may not: they stay as their escapes."""
    if value is None:
        return None
    return str(value).replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


_KEYS = ("charger_id", "task_id")
_COLUMNS: dict[str, type[Text] | DateTime] = {
    "charger_id": Text,
    "task_id": Text,
    "state": Text,
    "reason": Text,
    "since": DateTime(timezone=True),
    "last_frame_at": DateTime(timezone=True),
}


def _write() -> Any:
    """An overlap is read twice: an older line changes nothing. Of two in one millisecond the later read wins."""
    rows = (
        func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()))
        .table_valued(*(column(name, type_) for name, type_ in _COLUMNS.items()))
        .render_derived("read")
    )
    statement = insert(ChargerLink).from_select([*_COLUMNS], select(rows))
    new = statement.excluded
    never = cast(literal("-infinity"), DateTime(timezone=True))
    is_newer = func.coalesce(new.since >= func.coalesce(ChargerLink.since, never), False)
    keeps_reason = and_(
        new.state == OcppState.CONNECTING, new.reason.is_(None), ChargerLink.state.in_(NO_LINK_YET)
    )
    state = case((is_newer, new.state), else_=ChargerLink.state)
    reason = case(
        (is_newer, case((keeps_reason, ChargerLink.reason), else_=new.reason)), else_=ChargerLink.reason
    )
    since = func.greatest(ChargerLink.since, new.since)
    last_frame_at = func.greatest(ChargerLink.last_frame_at, new.last_frame_at)
    says_more = or_(
        state.is_distinct_from(ChargerLink.state),
        reason.is_distinct_from(ChargerLink.reason),
        # Frames prove a link.
        (last_frame_at > since).is_distinct_from(ChargerLink.last_frame_at > ChargerLink.since),
    )
    return statement.on_conflict_do_update(
        index_elements=[ChargerLink.charger_id, ChargerLink.task_id],
        set_={
            "state": state,
            "reason": reason,
            "since": since,
            "last_frame_at": last_frame_at,
            "noted": and_(ChargerLink.noted, ~says_more),
        },
        where=or_(
            says_more,
            since.is_distinct_from(ChargerLink.since),
            last_frame_at.is_distinct_from(ChargerLink.last_frame_at),
        ),
    )


_WRITE = _write()


def _note_some(session: Session, settle_s: float) -> int:
    """Those that nobody has locked, at most NOTE_LIMIT. Returns how many."""
    links = session.execute(
        select(ChargerLink.charger_id, ChargerLink.task_id)
        .join(Charger, Charger.id == ChargerLink.charger_id)
        .where(~ChargerLink.noted)
        .order_by(ChargerLink.charger_id, ChargerLink.task_id)
        .limit(NOTE_LIMIT)
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
            link_noted_at=func.clock_timestamp(),  # a trigger does the rest
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
    _forget_old(session, charger_ids)
    return len(links)


def _forget_old(session: Session, charger_ids: list[str]) -> None:
    """Of each charger, all but the KEPT_TASKS that were heard of last, and the one that was seen to run."""
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
    old = select(ranked.c.charger_id, ranked.c.task_id).where(ranked.c.age > KEPT_TASKS)
    free = session.execute(
        select(ChargerLink.charger_id, ChargerLink.task_id)
        .where(_KEY.in_(old))
        .with_for_update(skip_locked=True)
    ).all()
    if free:
        session.execute(
            delete(ChargerLink).where(_KEY.in_(free)).execution_options(synchronize_session=False)
        )


_KEY = tuple_(ChargerLink.charger_id, ChargerLink.task_id)
