"""Recording commands: one by one, and many in one statement."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.commands import LifecycleRequest, record_command, record_commands
from shared.fleet.errors import ChargerNotFound, NotReady
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger, Command
from shared.vocabulary import EventType
from tests.shared.fleet.test_charger_counts import NOW, charger

LIFECYCLE = (EventType.START_CHARGER, EventType.STOP_CHARGER, EventType.RESET_CHARGER)
#: The states that a request can find a charger in.
STATES: list[dict[str, Any]] = [
    {"settled_generation": 1, "observed_generation": 1},
    {
        "newest_event_type": "stop_charger",
        "desired_count": 0,
        "settled_generation": 1,
        "observed_generation": 1,
    },
    {"newest_event_type": "stop_charger", "desired_count": 0, "attempts": 3, "not_before": NOW},
    {"newest_event_type": "reset_charger", "generation": 4, "restart_generation": 4},
    {"provisioning_status": "PENDING"},
    {"provisioning_status": "FAILED"},
    {"deleted_at": NOW, "desired_count": 0},
    {"organization_id": "globex"},
]

requests = st.lists(
    st.builds(
        LifecycleRequest,
        event_type=st.sampled_from(LIFECYCLE),
        charger_id=st.integers(0, len(STATES)).map(lambda number: f"dep-{number}"),
        organization_id=st.sampled_from(["acme", "acme", "acme", "globex"]),
        requested_by=st.sampled_from(["ann", "Böb"]),
        request_id=st.sampled_from([None, "r-1"]),
    ),
    max_size=12,
)

NO_COMMAND = UUID(int=0)
#: All columns, with the time until the sweep publishes in the place of an instant.
CHARGERS = select(
    *(
        each
        for each in Charger.__table__.c
        if each.name not in ("publish_at", "created_at", "updated_at", "observed_since")
    ),
    (Charger.publish_at - func.now()).label("publish_in"),
).order_by(Charger.id)
COMMANDS = select(*(each for each in Command.__table__.c if each.name != "created_at")).order_by(
    Command.charger_id, Command.generation
)

Answers = list[CommandReceipt | type[Exception]]


@hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(requests=requests)
def test_a_batch_leaves_the_same_rows_and_receipts_as_one_by_one(
    sessions: Sessions, requests: list[LifecycleRequest]
) -> None:
    one_by_one = outcome(sessions, requests, in_batch=False)
    in_batch = outcome(sessions, requests, in_batch=True)

    assert in_batch == one_by_one


def outcome(
    sessions: Sessions, requests: Sequence[LifecycleRequest], *, in_batch: bool
) -> tuple[Answers, Sequence[Any], Sequence[Any]]:
    """The answers to the requests, and the rows after them. Keeps nothing."""
    with sessions() as session:
        for number, state in enumerate(STATES):
            row = charger("acme")
            row.id = row.identity = f"dep-{number}"
            row.workflow_run_id = "wfr_1"
            row.provisioning_status = "READY"
            row.newest_command_id = NO_COMMAND
            row.publish_at = func.now()
            for name, value in state.items():
                setattr(row, name, value)
            session.add(row)
        session.flush()
        session.expunge_all()
        receipts = record_commands(session.connection(), requests) if in_batch else {}
        answers = [receipts.get(each.command_id) or answer(session, each) for each in requests]
        session.expire_all()
        chargers = session.execute(CHARGERS).all()
        commands = session.execute(COMMANDS).all()
        session.rollback()
    return answers, chargers, commands


def answer(session: Session, request: LifecycleRequest) -> CommandReceipt | type[Exception]:
    try:
        return record_command(session, request)
    except (ChargerNotFound, NotReady) as error:
        return type(error)


def test_a_batch_records_the_first_request_for_a_charger_and_skips_one_that_is_locked(
    sessions: Sessions,
) -> None:
    """A page of log lines, which only refers to its chargers, keeps none from being recorded."""
    free, held = charger("acme"), charger("acme")
    with sessions.begin() as session:
        session.add_all([free, held])
        session.flush()
        session.execute(update(Charger).values(provisioning_status="READY", settled_generation=1))
    stop, reset, skipped = (
        LifecycleRequest(event_type, row.id, "acme", "ann", None)
        for event_type, row in ((LIFECYCLE[1], free), (LIFECYCLE[2], free), (LIFECYCLE[1], held))
    )

    with sessions.begin() as holder, sessions.begin() as session:
        holder.execute(select(Charger.id).where(Charger.id == held.id).with_for_update(key_share=True))
        holder.execute(
            select(Charger.id).where(Charger.id == free.id).with_for_update(read=True, key_share=True)
        )
        receipts = record_commands(session.connection(), [stop, reset, skipped])

    assert [receipt.command_id for receipt in receipts.values()] == [stop.command_id]
