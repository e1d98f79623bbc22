"""The link's side of the table actions: read what chargers have to do, and write what came of it."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.error_codes import ActionCode

#: How long after an action's time its answer is still waited for: it may have been sent at the last moment.
GRACE_S = 5.0
ABANDONED_AFTER_S = 60.0  # without a session of the charger that received it
UNANSWERED_AFTER_S = 600.0  # a charger ends each of its actions much earlier
AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class OpenAction:
    """An action that a connected charger has not finished."""

    id: int
    charger_id: str
    process_id: str
    session_id: str  #: over which it is to be sent
    name: str
    event: dict[str, Any]
    sealed_event: str | None
    is_for_this_boot: bool
    expires_in_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came of an action."""

    id: int
    charger_id: str
    status: str  #: received, or final
    reason: str | None = None
    reason_code: str | None = None
    result: dict[str, Any] | None = None

    @property
    def is_final(self) -> bool:
        return self.status != "received"


@dataclass(frozen=True, slots=True)
class Finished:
    """An action that a statement has made final."""

    status: str
    took_s: float


def actions_to_send(
    session: Session, link_id: str, *, sent: Collection[int], resumed: Collection[str], at_most: int
) -> list[OpenAction]:
    """The queued actions of this link's chargers, except for those that are `sent`, in the order of their ids.

    For chargers of `resumed`, which have just connected, the received ones too.
    """
    given = {"link": link_id, "sent": list(sent), "resumed": list(resumed), "limit": at_most}
    return [OpenAction(**row) for row in session.execute(_OPEN, given).mappings()]


def write_results(session: Session, results: Sequence[ActionResult]) -> list[Finished]:
    """Write what came of actions. A final one does not change any more. Returns those that became final. Safe to repeat."""
    rows = orjson.dumps([asdict(result) for result in results]).decode()
    return _finished(session, _WRITE, rows=rows)


def expire_actions(session: Session, link_id: str) -> list[Finished]:
    """End the actions that no charger has confirmed in time. Safe to repeat, also concurrently.

    Another process of the link may have a charger's answer and not reach the database: its actions are left to it, until it
    has been silent for ABANDONED_AFTER_S.
    """
    return _finished(session, _EXPIRE, link=link_id)


def abandon_actions(session: Session) -> list[Finished]:
    """End the received actions whose charger does not come back with a result. Safe to repeat, also concurrently."""
    return _finished(session, _ABANDON)


def _finished(session: Session, statement: Any, **given: object) -> list[Finished]:
    rows = session.execute(statement, given)
    return [Finished(row.status, float(row.took_s)) for row in rows if row.took_s is not None]


_OPEN = text("""
SELECT
    actions.id, actions.charger_id, report.process_id, held.session_id, actions.name, actions.event, actions.sealed_event,
    actions.boot_id IS NOT DISTINCT FROM report.boot_id AS is_for_this_boot,
    CAST(EXTRACT(epoch FROM actions.expires_at - clock_timestamp()) AS float) AS expires_in_s,
    CAST(EXTRACT(epoch FROM clock_timestamp() - actions.created_at) AS float) AS age_s
FROM actions
JOIN charger_reports report ON report.charger_id = actions.charger_id
JOIN control_sessions held ON held.process_id = report.process_id
WHERE actions.status IN ('queued', 'received')
    AND (
        actions.status = 'queued' AND actions.expires_at > now()
        OR actions.status = 'received' AND actions.charger_id = ANY(:resumed)
    )
    AND NOT actions.id = ANY(:sent)
    AND held.link_id = :link AND held.disconnected_at IS NULL
ORDER BY actions.id LIMIT :limit
""")
_WRITE = text("""
UPDATE actions SET
    status = given.status, reason = given.reason, reason_code = given.reason_code, result = given.result,
    received_at = coalesce(received_at, clock_timestamp()),
    sealed_event = CASE WHEN given.status = 'received' THEN sealed_event END,
    finished_at = CASE WHEN given.status <> 'received' THEN clock_timestamp() END
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS given (id bigint, charger_id text, status text, reason text, reason_code text, result jsonb)
WHERE actions.id = given.id AND actions.charger_id = given.charger_id
    AND actions.status IN ('queued', 'received') AND actions.status <> given.status
RETURNING actions.status, EXTRACT(epoch FROM actions.finished_at - actions.created_at) AS took_s
""")
_END_DUE = """
UPDATE actions SET sealed_event = NULL, status = '{status}', reason = '{reason}', reason_code = '{code}', finished_at = clock_timestamp()
FROM due WHERE due.id = actions.id
RETURNING actions.status, EXTRACT(epoch FROM actions.finished_at - actions.created_at) AS took_s
"""
_EXPIRE = text(
    f"""
WITH due AS MATERIALIZED (
    SELECT id FROM actions
    WHERE status = 'queued' AND expires_at < now() - interval '{GRACE_S} s' AND NOT EXISTS (
        SELECT FROM charger_reports report
        JOIN control_sessions held USING (process_id)
        JOIN control_links ON control_links.id = held.link_id
        WHERE report.charger_id = actions.charger_id AND held.link_id <> :link
            AND control_links.seen_at > now() - interval '{ABANDONED_AFTER_S} s'
            AND (held.disconnected_at IS NULL OR held.disconnected_at > control_links.seen_at)
    )
    ORDER BY id LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608 - our own words
    + _END_DUE.format(
        status="expired",
        reason="No charger has confirmed the action within its time",
        code=ActionCode.EXPIRED,
    )
)
_ABANDON = text(
    f"""
WITH due AS MATERIALIZED (
    SELECT id FROM actions
    WHERE status = 'received' AND received_at < now() - interval '{ABANDONED_AFTER_S} s' AND (
        received_at < now() - interval '{UNANSWERED_AFTER_S} s' OR NOT EXISTS (
            SELECT FROM charger_reports report
            JOIN control_sessions held USING (process_id)
            JOIN control_links ON control_links.id = held.link_id
            WHERE report.charger_id = actions.charger_id AND (
                held.disconnected_at IS NULL AND control_links.seen_at > now() - interval '{ABANDONED_AFTER_S} s'
                OR held.disconnected_at > now() - interval '{ABANDONED_AFTER_S} s'
            )
        )
    )
    ORDER BY id LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608 - our own words
    + _END_DUE.format(
        status="failed",
        reason="The charger has received the action and has not said what came of it",
        code=ActionCode.NO_ANSWER,
    )
)
