"""Changing the chargers of a location: one by one, and a portion in a few statements."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.chargers import ChargerChanges, UpdateRequest, update_charger
from shared.fleet.errors import ChargerNotFound, InvalidCharger
from shared.fleet.locations.chargers import update_portion
from shared.models import Charger, ChargerSettings, Location
from shared.sealing import NoKeys, Sealer
from tests.shared.fleet.test_charger_counts import NOW, charger
from tests.shared.fleet.test_commands import CHARGERS, COMMANDS, NO_COMMAND
from tests.support.environment import ENCRYPTION_KEY

SITE = "site"
LINKED = {"spec_by_link": True, "spec_hash": "1"}
#: The states that a change can find a charger in.
STATES: list[dict[str, Any]] = [
    {"settled_generation": 1, "observed_generation": 1},
    {"settled_generation": 1, "observed_generation": 1, **LINKED},
    {"newest_event_type": "stop_charger", "desired_count": 0, "attempts": 3, "not_before": NOW},
    {"provisioning_status": "PENDING", "expires_at": func.now(), "labels": {"run": "1"}},
    {"provisioning_status": "FAILED"},
    {"deleted_at": NOW, "desired_count": 0},
    {"organization_id": "globex"},
]
#: What a client sends. Some of it breaks a rule.
CHANGES: list[dict[str, Any]] = [
    {},
    {"name": "Bay 1"},
    {"name": None, "location_name": "North"},
    {"ws_url": "wss://other.test/ocpp"},
    {"ws_url": "ws://csms.test/ocpp"},
    {"ocpp_version": "OCPP2.0.1", "connector_type": "Type2"},
    {"name": "lost", "connector_type": "CHAdeMO"},
    {"location_id": "other"},
    {"location_id": None},
    {"name": "lost", "location_id": "of globex"},
    {"ttl_seconds": 3600, "labels": {"run": "2"}},
    {"ttl_seconds": None},
    {"settings": {"security": {"password": "secret"}, "serial_number": "SN-1"}},
    {"settings": {"connectors": {"number": 2}}},
    {"name": "lost", "settings": {"security": {"profile": 2}}},
]
SETTINGS = select(ChargerSettings.charger_id, ChargerSettings.revision, ChargerSettings.settings).order_by(
    ChargerSettings.charger_id
)
CLOCKS = select(
    Charger.id, Charger.updated_at == func.now(), (Charger.expires_at - func.now()).label("expires_in")
).order_by(Charger.id)

changes = st.dictionaries(
    st.integers(0, len(STATES)).map(lambda number: f"dep-{number}"), st.sampled_from(CHANGES), min_size=1
)


@hypothesis_settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=changes)
def test_a_portion_leaves_the_same_rows_as_single_requests(
    sessions: Sessions, changes: Mapping[str, Mapping[str, Any]]
) -> None:
    one_by_one = outcome(sessions, changes, at_once=False)
    at_once = outcome(sessions, changes, at_once=True)

    assert at_once == one_by_one


def outcome(
    sessions: Sessions, changes: Mapping[str, Mapping[str, Any]], *, at_once: bool
) -> tuple[Any, ...]:
    """Which changes failed, and the rows after them, without the ids of new commands. Keeps nothing."""
    sealer = Sealer((ENCRYPTION_KEY,))
    requests = [
        UpdateRequest(charger_id, ChargerChanges(**given), "acme", "ann", "r-1")
        for charger_id, given in sorted(changes.items())
    ]
    failed: dict[str, str] = {}
    with sessions() as session:
        given_chargers(session)
        if at_once:
            portion = update_portion(session, requests, location_id=SITE, sealer=sealer)
            failed = portion.failed
            assert portion.updated.keys() | failed.keys() == changes.keys()
        else:
            for request in requests:
                try:
                    with session.begin_nested():
                        update_charger(session, request, sealer=sealer)
                except ChargerNotFound:
                    failed[request.charger_id] = f"Charger {request.charger_id} not found in this location"
                except (InvalidCharger, NoKeys) as error:
                    failed[request.charger_id] = str(error)
        session.expire_all()
        found = [session.execute(rows).mappings().all() for rows in (CHARGERS, COMMANDS, SETTINGS, CLOCKS)]
        session.rollback()
    no_ids = {"newest_command_id": None, "expires_at": None}
    chargers, commands, *others = found
    return (
        failed,
        [{**row, **no_ids, "has_new_command": row["newest_command_id"] != NO_COMMAND} for row in chargers],
        [{**row, "id": None} for row in commands],
        others,
    )


def given_chargers(session: Session, states: list[dict[str, Any]] = STATES) -> None:
    """A charger of the site for each state."""
    for organization_id, location_id in (
        ("acme", SITE),
        ("acme", "other"),
        ("globex", "of globex"),
        ("globex", SITE),
    ):
        session.add(Location(organization_id=organization_id, id=location_id))
    session.flush()
    for number, state in enumerate(states):
        row = charger("acme")
        row.id = row.identity = f"dep-{number}"
        row.location_id = SITE
        row.workflow_run_id = "wfr_1"
        row.provisioning_status = "READY"
        row.newest_command_id = NO_COMMAND
        row.publish_at, row.observe_at = func.now(), NOW
        for name, value in state.items():
            setattr(row, name, value)
        session.add(row)
    session.flush()
    session.expunge_all()


@contextmanager
def counted_statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent while the block runs; many rows of one statement count once."""
    sent: list[str] = []

    def count(*args: Any) -> None:
        sent.append(args[2])

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", count)


def test_the_number_of_statements_is_the_same_for_few_and_for_many(
    engine: Engine, sessions: Sessions
) -> None:
    """The new settings redeploy each charger, which takes the most statements."""
    numbers = []
    for chargers in (2, 50):
        with sessions() as session:
            given_chargers(session, [{}] * chargers)
            requests = [
                UpdateRequest(
                    f"dep-{number}",
                    ChargerChanges(
                        name=f"Bay {number}",
                        ws_url="ws://new.test",
                        location_id="other",
                        ttl_seconds=60,
                        settings={"connectors": {"number": 2}},
                    ),
                    "acme",
                    "ann",
                    None,
                )
                for number in range(chargers)
            ]
            with counted_statements(engine) as sent:
                portion = update_portion(
                    session, requests, location_id=SITE, sealer=Sealer((ENCRYPTION_KEY,))
                )
            session.rollback()
        assert len(portion.receipts) == chargers
        numbers.append(len(sent))

    assert numbers[0] == numbers[1] <= 10
