"""Deleting chargers: one by one, and many in one statement."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func

from shared.database.engine import Sessions
from shared.fleet.chargers import DeleteRequest, delete_charger
from shared.fleet.errors import ChargerNotFound
from shared.fleet.receipts import CommandReceipt
from shared.fleet.removal import record_deletions
from tests.shared.fleet.test_charger_counts import NOW, charger
from tests.shared.fleet.test_commands import CHARGERS, COMMANDS, NO_COMMAND, STATES

OF_ACME = [number for number, state in enumerate(STATES) if "organization_id" not in state]

ids = st.lists(st.sampled_from([*(f"dep-{number}" for number in OF_ACME), "dep-none"]), unique=True)


@hypothesis_settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(charger_ids=ids)
def test_one_statement_deletes_chargers_as_single_requests_do(
    sessions: Sessions, charger_ids: list[str]
) -> None:
    one_by_one = outcome(sessions, charger_ids, at_once=False)
    at_once = outcome(sessions, charger_ids, at_once=True)

    assert at_once == one_by_one


def outcome(
    sessions: Sessions, charger_ids: Sequence[str], *, at_once: bool
) -> tuple[list[CommandReceipt], Sequence[Any], Sequence[Any]]:
    """The receipts, and the rows after them, without the ids of the new commands. Keeps nothing."""
    with sessions() as session:
        for number, state in enumerate(STATES):
            row = charger("acme")
            row.id = row.identity = f"dep-{number}"
            row.workflow_run_id = "wfr_1"
            row.newest_command_id = NO_COMMAND
            row.publish_at, row.observe_at = func.now(), NOW
            for name, value in state.items():
                setattr(row, name, value)
            session.add(row)
        session.flush()
        session.expunge_all()
        receipts = []
        if at_once:
            receipts = record_deletions(session, charger_ids, requested_by="ann", request_id="r-1")
        else:
            for charger_id in charger_ids:
                try:
                    receipts.append(delete_charger(session, DeleteRequest(charger_id, "acme", "ann", "r-1")))
                except ChargerNotFound:
                    continue
        session.expire_all()
        newest = {receipt.charger_id: receipt.command_id for receipt in receipts}
        chargers = session.execute(CHARGERS).mappings().all()
        commands = session.execute(COMMANDS).mappings().all()
        session.rollback()
    assert {row["id"]: row["newest_command_id"] for row in chargers if row["id"] in newest} == newest
    assert {row["charger_id"]: row["id"] for row in commands} == newest
    return (
        [replace(receipt, command_id=NO_COMMAND) for receipt in receipts],
        [
            {**row, "newest_command_id": NO_COMMAND, "deleted_at": row["deleted_at"] is None}
            for row in chargers
        ],
        [{**row, "id": NO_COMMAND} for row in commands],
    )
