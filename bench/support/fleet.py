"""Inserts thousands of chargers in the state that provisioning leaves them in."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from bench.support.servers import ORGANIZATION

INSERT = text("""
    INSERT INTO chargers (
        id, organization_id, identity, brand_slug, model_slug, vendor_name, model, connector_type,
        current_type, number_of_connectors, max_charging_power, ocpp_version, ws_url,
        desired_count, generation, spec_generation, restart_generation, newest_command_id,
        newest_event_type, provisioning_status, workflow_run_id, provisioned_at, observed_generation,
        settled_generation, task_definition_arn, task_definition_generation, restart_task_generation,
        service_status, running_count, pending_count, observed_at, attempts, observe_at, ocpp_state, name
    )
    SELECT
        'dep-' || lpad(n::text, 32, '0'), :organization, 'CP-' || n, 'wallbox', 'wallbox-pulsar-plus',
        'Wallbox', 'Pulsar Plus', 'Type2', 'ac', 1, 22000, CASE n % 2 WHEN 0 THEN 'OCPP1.6' ELSE 'OCPP2.0.1' END,
        'ws://csms.test/ocpp',
        1, 1, 1, 0, uuidv7(),
        'create_charger', 'READY', 'wfr_' || n, now(), 1,
        1, 'arn:aws:ecs:us-east-1:123456789012:task-definition/dep-' || n || '\\:1', 1, 0,
        'ACTIVE', 1, 0, now(), 0, now() + interval '1 day', 'accepted', 'Bay ' || n
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
""")
COMMANDS = text("""
    INSERT INTO commands (
        id, charger_id, organization_id, event_type, generation, status, attempts, requested_by,
        applied_at, finished_at
    )
    SELECT newest_command_id, id, organization_id, newest_event_type, generation, 'succeeded', 1, 'bench',
        now(), now()
    FROM chargers WHERE id BETWEEN :first_id AND :last_id
""")
LINKS = text("""
    INSERT INTO charger_links (charger_id, task_id, state, since, noted)
    SELECT id, 'task', 'accepted', now(), true FROM chargers WHERE id BETWEEN :first_id AND :last_id
""")
SEARCH_INDEX = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'charger_search_grams'")


def charger_id(number: int) -> str:
    return f"dep-{number:032d}"


def insert_chargers(engine: Engine, count: int, *, first: int = 1) -> None:
    """Insert chargers that run as desired, each with the finished command that created it."""
    last = first + count - 1
    with bulk_connection(engine) as connection:
        index = connection.scalar(SEARCH_INDEX)
        # Updating the index row by row takes ten times as long.
        connection.execute(text("DROP INDEX charger_search_grams"))
        connection.execute(INSERT, {"organization": ORGANIZATION, "first": first, "last": last})
        connection.exec_driver_sql(index)
        connection.execute(text("SET session_replication_role = replica"))  # no events, no foreign keys
        these = {"first_id": charger_id(first), "last_id": charger_id(last)}
        connection.execute(COMMANDS, these)
        connection.execute(LINKS, these)
        connection.execute(text("VACUUM ANALYZE chargers, charger_links, commands, charger_search"))


@contextmanager
def bulk_connection(engine: Engine) -> Iterator[Connection]:
    """A connection to the engine's database that commits every statement and has none of our time-outs."""
    bulk = create_engine(engine.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with bulk.connect() as connection:
        yield connection
