"""Rows of chargers, written as provisioning and the observer leave them, for an API without workers."""

from sqlalchemy import Engine, text

INSERT = text("""
    INSERT INTO chargers (
        id, organization_id, identity, name, brand_slug, model_slug, vendor_name, model, connector_type,
        current_type, number_of_connectors, max_charging_power, ocpp_version, ws_url, location_id, location_name,
        desired_count, generation, spec_generation, restart_generation, newest_command_id, newest_event_type,
        provisioning_status, workflow_run_id, provisioned_at, observed_generation, settled_generation,
        task_definition_generation, restart_task_generation, service_status, running_count, pending_count,
        observed_at, observed_since, attempts
    )
    SELECT
        'dep-' || md5(:organization || :prefix || n), :organization, :prefix || lpad(n::text, 4, '0'), 'Bay ' || n, 'wallbox',
        'wallbox-pulsar-plus', 'Wallbox', 'Pulsar Plus', 'Type2',
        'ac', 1, 22000, 'OCPP1.6', 'ws://csms.test/ocpp', :location, :location,
        :desired, 1, 1, 0, gen_random_uuid(), 'create_charger',
        'READY', 'wfr_' || n, now(), 1, 1,
        1, 0, 'ACTIVE', :running, 0,
        now(), now() - interval '1 hour', 0
    FROM generate_series(1, :count) AS n
""")
COMMANDS = text("""
    INSERT INTO commands (
        id, charger_id, organization_id, event_type, generation, status, attempts, requested_by, applied_at, finished_at
    )
    SELECT newest_command_id, id, organization_id, newest_event_type, generation, 'succeeded', 1, 'tester', now(), now()
    FROM chargers WHERE organization_id = :organization AND identity LIKE :prefix || '%'
""")
LINKS = text("""
    INSERT INTO charger_links (charger_id, task_id, task_generation, state, since, noted)
    SELECT id, '', 1, CAST(:link AS text), now(), true
    FROM chargers WHERE organization_id = :organization AND identity LIKE :prefix || '%'
""")
DERIVED = text("""
    UPDATE chargers SET ocpp_state = :link WHERE organization_id = :organization AND identity LIKE :prefix || '%'
""")


def insert_rows(
    engine: Engine,
    count: int,
    *,
    prefix: str,
    organization: str = "demo",
    runs: bool = False,
    desired: bool | None = None,
    link: str | None = None,
    location: str | None = None,
) -> None:
    """Insert chargers with the identities PREFIX0001, PREFIX0002, ...: stopped ones, or running ones with this link."""
    these = {"organization": organization, "prefix": prefix}
    wanted = runs if desired is None else desired
    with engine.begin() as connection:
        rows = {"count": count, "desired": int(wanted), "running": int(runs), "location": location}
        connection.execute(INSERT, these | rows)
        connection.execute(COMMANDS, these)
        if link:
            connection.execute(LINKS, these | {"link": link})
            connection.execute(DERIVED, these | {"link": link})
