"""Hosts, as clients see them: lists and reads them, and lets one drain."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, case, func, select, update
from sqlalchemy.orm import Session

from shared.fleet.control import LINK_TIMEOUT
from shared.fleet.errors import HostNotFound
from shared.fleet.page import Page
from shared.models import ControlLink, ControlSession, Host
from shared.vocabulary import HostState

SCARCE = 0.85  # of its memory: a host that has no more is killed with all its chargers
LATE_MS = 500.0  # of timers: heartbeats and readings are as late
NOT_CONNECTED = "Its process is not connected to the control link, so what its chargers do is not known"


class ShownHost(NamedTuple):
    """A host, as of the read."""

    host: Host
    state: HostState
    connected_since: datetime | None  #: to the control link; None while it is not

    @property
    def reason(self) -> str | None:
        """Why it does not run, as a sentence."""
        return NOT_CONNECTED if self.state == HostState.UNKNOWN else self.host.reason


#: When its session with a living process of the link began. None without one.
CONNECTED_SINCE: ColumnElement[Any] = (
    select(ControlSession.connected_at)
    .join(ControlLink, ControlLink.id == ControlSession.link_id)
    .where(
        ControlSession.process_id == Host.id,
        ControlSession.disconnected_at.is_(None),
        ControlLink.seen_at > func.now() - LINK_TIMEOUT,
    )
    .correlate(Host)
    .scalar_subquery()
)
STATE: ColumnElement[str] = case(
    (Host.deleted_at.is_not(None), HostState.REMOVING.value),
    (Host.draining_at.is_not(None), HostState.DRAINING.value),
    (CONNECTED_SINCE.is_not(None), HostState.RUNNING.value),
    # A process that starts needs a while; one that has reported before has lost the link.
    ((Host.running_count > 0) & Host.reported_at.is_not(None), HostState.UNKNOWN.value),
    else_=HostState.STARTING.value,
).cast(String)


def list_hosts(
    session: Session,
    *,
    organization_id: str | None,
    states: Sequence[str] | None,
    page: int,
    limit: int,
) -> Page[ShownHost]:
    """The organization's hosts in one of the states, newest first; those of all organizations for None."""
    conditions = _of(organization_id)
    if states is not None:
        conditions.append(STATE.in_(states))
    total = session.scalar(select(func.count()).select_from(Host).where(*conditions)) or 0
    rows = _shown(conditions).order_by(Host.id.desc()).limit(limit).offset((page - 1) * limit)
    return Page([*_read(session, rows)], total)


class HostNumbers(NamedTuple):
    """The hosts of all organizations that are in one state."""

    hosts: int
    chargers: int  #: that they have, running or not
    worst_lag_ms: float
    lines_dropped: int


def count_hosts(session: Session) -> dict[HostState, HostNumbers]:
    """The hosts of all organizations by state. Every state has a key."""
    by_state = select(
        STATE.label("state"),
        func.count(),
        func.sum(Host.chargers),
        func.max(Host.lag_ms),
        func.sum(Host.lines_dropped),
    ).group_by("state")
    found = {
        HostState(state): HostNumbers(hosts, int(chargers or 0), lag_ms or 0.0, int(dropped or 0))
        for state, hosts, chargers, lag_ms, dropped in session.execute(by_state)
    }
    return {state: found.get(state, HostNumbers(0, 0, 0.0, 0)) for state in HostState}


def get_host(session: Session, *, organization_id: str | None, host_id: str) -> ShownHost:
    """The host, if it is of the organization; of any for None. Raises HostNotFound."""
    for found in _read(session, _shown([*_of(organization_id), Host.id == host_id])):
        return found
    raise HostNotFound(host_id)


def drain_host(session: Session, *, organization_id: str | None, host_id: str) -> ShownHost:
    """Let the host get no further charger, and have its chargers moved. Returns it. A repeat changes nothing.

    Raises HostNotFound.
    """
    draining = (
        update(Host)
        .where(
            *_of(organization_id),
            Host.id == host_id,
            Host.draining_at.is_(None),
            Host.deleted_at.is_(None),
        )
        .values(draining_at=func.now(), converge_at=func.least(Host.converge_at, func.now()))
    )
    session.execute(draining, execution_options={"synchronize_session": False})
    return get_host(session, organization_id=organization_id, host_id=host_id)


def shortages(host: Host) -> Iterator[str]:
    """What the host is short of, by what its process said last: a sentence each."""
    if host.lag_ms is not None and host.lag_ms >= LATE_MS:
        yield f"CPU: its timers are {host.lag_ms:.0f} ms late"
    if (
        host.memory_bytes
        and host.memory_limit_bytes
        and host.memory_bytes >= SCARCE * host.memory_limit_bytes
    ):
        used, limit = (round(each / 2**20) for each in (host.memory_bytes, host.memory_limit_bytes))
        yield f"Memory: its process has {used} of {limit} MiB"
    if host.max_chargers is not None and host.max_chargers < host.capacity:
        yield f"Open files: its process has room for {host.max_chargers} chargers instead of {host.capacity}"
    if host.lines_dropped:
        yield f"Log: it has dropped {host.lines_dropped} lines since its start"


def _of(organization_id: str | None) -> list[ColumnElement[bool]]:
    return [] if organization_id is None else [Host.organization_id == organization_id]


def _shown(conditions: Sequence[ColumnElement[bool]]) -> Select[Any, Any, Any]:
    columns = (Host, STATE.label("state"), CONNECTED_SINCE.label("connected_since"))
    return select(*columns).where(*conditions)


def _read(session: Session, rows: Select[Any, Any, Any]) -> Iterator[ShownHost]:
    for row in session.execute(rows.execution_options(populate_existing=True)):
        yield ShownHost(row.Host, HostState(row.state), row.connected_since)
