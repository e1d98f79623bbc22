"""The rows that processes of the link write: who is connected, and what became of actions."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database.engine import Sessions
from shared.models import Action, ChargerReport, ControlLink, ControlSession
from shared.vocabulary import FINAL_ACTION, ActionStatus

LINK = "link-1"
BOOT = "b001"


def connect(sessions: Sessions, *charger_ids: str, boot: str = BOOT) -> None:
    """Each charger's own process has a session with a living process of the link."""
    with sessions.begin() as session:
        session.merge(ControlLink(id=LINK, seen_at=func.now()))
        for charger_id in charger_ids:
            session.merge(
                ControlSession(
                    process_id=charger_id,
                    session_id=f"session-of-{charger_id}",
                    boot_id=boot,
                    link_id=LINK,
                    version="0.1.0",
                    connected_at=func.now(),
                    disconnected_at=None,
                )
            )
            session.merge(ChargerReport(charger_id=charger_id, process_id=charger_id, boot_id=boot))


def connect_copies(sessions: Sessions, charger_ids: list[str]) -> None:
    """As `connect`, for many, in one process."""
    connect(sessions, charger_ids[0])
    with sessions.begin() as session:
        rows = [
            {"charger_id": charger_id, "process_id": charger_ids[0], "boot_id": BOOT}
            for charger_id in charger_ids[1:]
        ]
        session.execute(insert(ChargerReport).values(rows))


def disconnect(sessions: Sessions, process_id: str) -> None:
    with sessions.begin() as session:
        session.execute(
            update(ControlSession)
            .where(ControlSession.process_id == process_id)
            .values(disconnected_at=func.now())
        )


def report(sessions: Sessions, charger_id: str, **said: Any) -> None:
    """Write what the charger says of itself: csms, connectors, remark."""
    with sessions.begin() as session:
        session.execute(
            update(ChargerReport)
            .where(ChargerReport.charger_id == charger_id)
            .values(reported_at=func.clock_timestamp(), **said)
        )


def csms(state: str, detail: str | None = None, since: str = "2026-04-02T09:15:31.250Z") -> dict[str, Any]:
    """The link to the CSMS, as a charger reports it."""
    return {"state": state, "reason": None, "detail": detail, "since": since}


def finish(sessions: Sessions, action_id: int | str, status: ActionStatus, **outcome: Any) -> None:
    """Write a result of the charger."""
    with sessions.begin() as session:
        finished = {"finished_at": func.now()} if status in FINAL_ACTION else {}
        session.execute(
            update(Action)
            .where(Action.id == int(action_id))
            .values(status=status, received_at=func.now(), **finished, **outcome)
        )


def actions_of(sessions: Sessions, *charger_ids: str) -> list[Action]:
    """Their actions, in the order of the ids."""
    with sessions() as session:
        query = select(Action).where(Action.charger_id.in_(charger_ids)).order_by(Action.id)
        return list(session.scalars(query))
