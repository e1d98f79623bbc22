"""Triggers keep the totals of chargers."""

from datetime import UTC, datetime
from threading import Barrier, Thread

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.ids import new_charger_id, new_command_id
from shared.models import Charger, ChargerCount

ORGANIZATIONS = ("acme", "globex")
NOW = datetime(2026, 4, 2, tzinfo=UTC)

organizations = st.sampled_from(ORGANIZATIONS)
steps = st.one_of(
    st.tuples(st.just("create"), organizations, st.integers(0, 3)),
    st.tuples(st.just("delete"), organizations, st.integers(0, 3)),
    st.tuples(st.just("restore"), organizations, st.integers(0, 3)),
    st.tuples(st.just("remove"), organizations, st.integers(0, 3)),
    st.tuples(st.just("change"), organizations, st.integers(0, 3)),
)


def charger(organization_id: str) -> Charger:
    charger_id = new_charger_id()
    return Charger(
        id=charger_id,
        organization_id=organization_id,
        identity=charger_id,
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        vendor_name="Wallbox",
        model="Pulsar Plus",
        connector_type="Type2",
        current_type="ac",
        number_of_connectors=1,
        max_charging_power=22_000,
        ocpp_version="OCPP1.6",
        ws_url="ws://csms.test/ocpp",
        workflow_run_id="wfr_1",
        newest_command_id=new_command_id(),
        newest_event_type="create_charger",
        publish_at=NOW,
    )


def take(session: Session, action: str, organization_id: str, count: int) -> None:
    """Apply the action to that many of the organization's chargers in one statement."""
    some = (
        select(Charger.id)
        .where(Charger.organization_id == organization_id)
        .order_by(Charger.id)
        .limit(count)
        .scalar_subquery()
    )
    match action:
        case "create":
            session.add_all(charger(organization_id) for _ in range(count))
        case "delete":
            session.execute(update(Charger).where(Charger.id.in_(some)).values(deleted_at=NOW))
        case "restore":
            session.execute(update(Charger).where(Charger.id.in_(some)).values(deleted_at=None))
        case "remove":
            session.execute(delete(Charger).where(Charger.id.in_(some)))
        case "change":
            session.execute(update(Charger).where(Charger.id.in_(some)).values(name="another"))
    session.flush()


def stored(session: Session) -> dict[str, int]:
    return {
        row.organization_id: row.chargers for row in session.scalars(select(ChargerCount)) if row.chargers
    }


def counted(session: Session) -> dict[str, int]:
    counts = (
        select(Charger.organization_id, func.count())
        .where(Charger.deleted_at.is_(None))
        .group_by(Charger.organization_id)
    )
    return {row[0]: row[1] for row in session.execute(counts)}


@hypothesis_settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(transactions=st.lists(st.tuples(st.lists(steps, max_size=4), st.booleans()), max_size=6))
def test_any_order_of_changes_keeps_the_count_exact(
    sessions: Sessions, transactions: list[tuple[list[tuple[str, str, int]], bool]]
) -> None:
    for transaction, committed in transactions:
        with sessions() as session:
            for step in transaction:
                take(session, *step)
            assert stored(session) == counted(session)
            if committed:
                session.commit()

    with sessions() as session:
        assert stored(session) == counted(session)


def test_changes_at_the_same_time_are_all_counted(sessions: Sessions) -> None:
    together = Barrier(4)

    def create_and_delete() -> None:
        together.wait()
        for _ in range(5):
            with sessions.begin() as session:
                made = charger("acme")
                session.add(made)
            with sessions.begin() as session:
                session.add(charger("acme"))
            with sessions.begin() as session:
                session.execute(update(Charger).where(Charger.id == made.id).values(deleted_at=NOW))

    threads = [Thread(target=create_and_delete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with sessions() as session:
        assert stored(session) == counted(session) == {"acme": 20}
