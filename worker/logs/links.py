"""Write the state of each charger's link to its CSMS, as the task's log reports it, into charger_links.

There is a row per ECS task, because only the observer knows which task runs, and host clocks do not order tasks. Clients
see the row of the running task (`shown_link` in the database). Rows are written in the page's transaction, under locks that
starts and stops do not wait for; worker/logs/apply_links.py then applies them to the chargers.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    DateTime,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import Charger, ChargerLink
from shared.vocabulary import OcppState

MAX_TEXT = 2_000  # characters of a reason or a remark
NO_LINK_YET = (OcppState.DISCONNECTED, OcppState.CONNECTING)


def write_links(session: Session, lines: Iterable[dict[str, Any]]) -> None:
    """Write each task's newest link state, and the time of its last frame. Safe to repeat.

    `lines` have `charger_id`, `task_id`, `at`, `type` and the charger's own fields. The lock on their chargers prevents a
    deletion until the transaction ends, and delays no other change.
    """
    links = _newest(lines)
    if not links:
        return
    existing = set(
        session.scalars(
            select(Charger.id)
            .where(Charger.id.in_({charger_id for charger_id, _ in links}))
            .order_by(Charger.id)
            .with_for_update(read=True, key_share=True)
        )
    )
    rows = [links[key] for key in sorted(links) if key[0] in existing]
    if rows:
        session.connection().execute(_UPSERT, {name: [row[name] for row in rows] for name in _COLUMNS})


def _newest(lines: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows that these lines alone make, by charger and task."""
    links: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        key = (line["charger_id"], line["task_id"])
        link = links.setdefault(key, dict.fromkeys(_COLUMNS) | dict(zip(_KEYS, key, strict=True)))
        if line["type"] == "frame":
            link["last_frame_at"] = max(link["last_frame_at"] or line["at"], line["at"])
        elif is_connection_event(line) and line["at"] >= (link["since"] or line["at"]):
            link["reason"] = _reason(line, link)
            link["state"], link["since"] = line["state"], line["at"]
    return {key: link for key, link in links.items() if link["since"] or link["last_frame_at"]}


def _reason(line: dict[str, Any], before: dict[str, Any]) -> str | None:
    """The line's reason. A new attempt has none, so it keeps the reason of the failed attempt before it."""
    if line["state"] != OcppState.CONNECTING:
        return bounded(line.get("detail") or line.get("reason"))
    reason: str | None = before["reason"] if before["state"] in NO_LINK_YET else None
    return reason


def is_connection_event(line: dict[str, Any]) -> bool:
    """Whether the line reports a state of the link, as a charger writes it."""
    return line["type"] == "connection" and line.get("state") in list(OcppState)


def bounded(value: Any) -> str | None:
    """The value as `storable` makes it, cut to MAX_TEXT: much of it can be the CSMS's text."""
    text = storable(value)
    return text if text is None or len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def storable(value: Any) -> str | None:
    """The value as text for PostgreSQL, which has no NUL and no lone surrogates: they become escapes. None stays None."""
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


def _upsert() -> Any:
    """The statement. An older line changes nothing; of two lines of one millisecond the one that is read later counts."""
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
    changes_link = or_(
        state.is_distinct_from(ChargerLink.state),
        reason.is_distinct_from(ChargerLink.reason),
        # A frame after `since` proves a link, whatever the state says.
        (last_frame_at > since).is_distinct_from(ChargerLink.last_frame_at > ChargerLink.since),
    )
    return statement.on_conflict_do_update(
        index_elements=[ChargerLink.charger_id, ChargerLink.task_id],
        set_={
            "state": state,
            "reason": reason,
            "since": since,
            "last_frame_at": last_frame_at,
            "noted": and_(ChargerLink.noted, ~changes_link),
        },
        where=or_(
            changes_link,
            since.is_distinct_from(ChargerLink.since),
            last_frame_at.is_distinct_from(ChargerLink.last_frame_at),
        ),
    )


_UPSERT = _upsert()
