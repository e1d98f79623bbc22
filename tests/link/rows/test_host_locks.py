"""The link locks several hosts in the order of their ids, as workers do."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from link.rows.hosts import HostArrival, SaidOfHost, take_hosts, write_host_reports
from shared.database.engine import Sessions
from shared.models import ControlLink, ControlSession, Host
from tests.support.waiting import wait_until

FIRST, SECOND = "host-1", "host-2"


def take(session: Session, host_ids: Sequence[str]) -> None:
    take_hosts(session, [HostArrival(each, f"session-of-{each}", "boot", "1", 1) for each in host_ids], [])


def report(session: Session, host_ids: Sequence[str]) -> None:
    said = [SaidOfHost(each, f"session-of-{each}", 1, 0, 0, 0.0, 0, None, 0.0, 0) for each in host_ids]
    write_host_reports(session, said)


def waits_for_a_lock(sessions: Sessions) -> bool:
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with sessions() as session:
        return bool(session.scalar(text(count)) == 1)


@pytest.mark.parametrize("write", [take, report])
def test_who_waits_for_a_host_holds_none_that_comes_after_it(
    sessions: Sessions, write: Callable[[Session, Sequence[str]], None]
) -> None:
    with sessions.begin() as session:
        session.add(ControlLink(id="link", seen_at=func.now()))
        for host_id in (SECOND, FIRST):
            session.add(Host(id=host_id, organization_id="acme", capacity=1))
            session.add(
                ControlSession(
                    process_id=host_id,
                    session_id=f"session-of-{host_id}",
                    boot_id="boot",
                    link_id="link",
                    version="1",
                    connected_at=func.now(),
                )
            )

    def write_both() -> None:
        with sessions.begin() as session:
            write(session, [SECOND, FIRST])

    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as holder:
            holder.execute(select(Host.id).where(Host.id == FIRST).with_for_update(key_share=True))
            both = pool.submit(write_both)
            wait_until(lambda: waits_for_a_lock(sessions))
            with sessions.begin() as other:
                free = other.scalars(
                    select(Host.id).where(Host.id == SECOND).with_for_update(key_share=True, skip_locked=True)
                ).all()
        both.result(10)

    assert free == [SECOND]
