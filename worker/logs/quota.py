"""Limit the bytes of frames that are stored per organization and day (UTC).

A flood of one organization then does not fill the disk, and costs no other organization a frame. A frame counts when it is
stored, so a line that is read again counts once.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import structlog
from sqlalchemy import Date, DateTime, Text, column, delete, exists, select, tuple_, values
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import ChargerLog, LogCut, LogVolume

log = structlog.get_logger(__name__)

ROW_BYTES = 150  # of a frame besides its message: about what PostgreSQL needs
CUT_ACTION = "LogQuotaExceeded"  # the action of the row that stands for the frames that are not stored
CUT_EVENT_ID = "quota"

Frame = dict[str, Any]
Key = tuple[str, date]  # an organization or a charger, and a day


def within_quota(
    session: Session, frames: list[Frame], organization_of: Mapping[str, str], max_bytes: int
) -> list[Frame]:
    """The frames to store: those that fit into `max_bytes` of their day, and all of them if that is 0.

    A row of CUT_ACTION replaces the first frame of a day that a charger loses. Frames that are stored already stay in.
    """
    if not (max_bytes and frames):
        return frames
    sizes: Counter[Key] = Counter()
    for frame in frames:
        sizes[_key(frame, organization_of)] += _size(frame)
    used = _used(session, sizes)
    full = {key for key in sizes if used[key] + sizes[key] > max_bytes}
    stored = _stored(session, [frame for frame in frames if _key(frame, organization_of) in full])
    kept = []
    lost: dict[Key, Frame] = {}
    for frame in frames:
        key = _key(frame, organization_of)
        if key not in full or frame["event_id"] in stored:
            kept.append(frame)
        elif used[key] >= max_bytes:
            lost.setdefault((frame["charger_id"], key[1]), frame)
        else:
            used[key] += _size(frame)
            kept.append(frame)
    return kept + _cuts(session, lost, organization_of, max_bytes)


def count_stored(
    session: Session, frames: list[Frame], stored: Collection[str], organization_of: Mapping[str, str]
) -> None:
    """Add the frames whose event ids are in `stored` to their day's volume. Not safe to repeat: `stored` are the new ones."""
    added: Counter[Key] = Counter()
    for frame in frames:
        if frame["event_id"] in stored and frame["event_id"] != CUT_EVENT_ID:
            added[_key(frame, organization_of)] += _size(frame)
    if not added:
        return
    rows = [
        {"organization_id": organization_id, "day": day, "bytes": size}
        for (organization_id, day), size in sorted(added.items())
    ]
    statement = insert(LogVolume).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[LogVolume.organization_id, LogVolume.day],
            set_={"bytes": LogVolume.bytes + statement.excluded.bytes},
        )
    )


def prune_volumes(session: Session, before: date) -> None:
    """Delete the volumes of days whose frames are pruned. Safe to repeat."""
    session.execute(delete(LogVolume).where(LogVolume.day < before))
    session.execute(delete(LogCut).where(LogCut.day < before))


def _used(session: Session, keys: Collection[Key]) -> Counter[Key]:
    wanted = select(
        values(column("organization_id", Text), column("day", Date), name="wanted").data(sorted(keys))
    )
    found = session.execute(
        select(LogVolume.organization_id, LogVolume.day, LogVolume.bytes).where(
            tuple_(LogVolume.organization_id, LogVolume.day).in_(wanted)
        )
    )
    return Counter({(row.organization_id, row.day): row.bytes for row in found})


def _stored(session: Session, frames: list[Frame]) -> set[str]:
    """The event ids of frames that an earlier read has stored: they are counted already, and not lost."""
    if not frames:
        return set()
    wanted = (
        values(
            column("charger_id", Text), column("timestamp", DateTime(timezone=True)), column("event_id", Text)
        )
        .data([(frame["charger_id"], frame["timestamp"], frame["event_id"]) for frame in frames])
        .alias("wanted")
    )
    same = [getattr(ChargerLog, name) == wanted.c[name] for name in ("charger_id", "timestamp", "event_id")]
    return set(session.scalars(select(wanted.c.event_id).where(exists().where(*same))))


def _cuts(
    session: Session, lost: Mapping[Key, Frame], organization_of: Mapping[str, str], max_bytes: int
) -> list[Frame]:
    """A row for each charger that loses its first frame of a day."""
    if not lost:
        return []
    new = session.execute(
        insert(LogCut)
        .values([{"charger_id": charger_id, "day": day} for charger_id, day in sorted(lost)])
        .on_conflict_do_nothing()
        .returning(LogCut.charger_id, LogCut.day)
    ).all()
    for organization_id, chargers in Counter(organization_of[row.charger_id] for row in new).items():
        log.warning("logs.quota_exceeded", organization_id=organization_id, chargers=chargers)
    text = f"The organization's chargers logged more than {max_bytes} bytes this day: frames from here on are not kept"
    return [
        lost[row.charger_id, row.day] | {"event_id": CUT_EVENT_ID, "action": CUT_ACTION, "message": text}
        for row in new
    ]


def _key(frame: Frame, organization_of: Mapping[str, str]) -> Key:
    return organization_of[frame["charger_id"]], frame["timestamp"].date()


def _size(frame: Frame) -> int:
    return ROW_BYTES + len(frame["message"] or "")
