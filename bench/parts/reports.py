"""Reports: what the report of a job costs, and what another organization notices meanwhile."""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import repeat
from threading import Thread

import httpx
from sqlalchemy import text

from bench.report import Budget, Report, Table
from bench.support.fleet import bulk_connection, insert_chargers
from bench.support.load import Load, add_up, drive, get
from bench.support.servers import ORGANIZATION, api, running_process, running_stores, token
from embedded.ports import HOST, free_port
from shared.database.engine import make_engine

#: Chargers, and frames of each.
SIZES = ((100, 100), (1_000, 100), (10_000, 20))
FORMATS = ("json", "csv", "junit", "html")
SIZE = (1_000, 100)  # for all formats, and beside the other organization
ROUNDS = 4
ROUND_S = 2.0
OTHER = "other"

PARTITIONS = (
    "CREATE TABLE charger_logs_bench PARTITION OF charger_logs FOR VALUES FROM ('2026-04-01') TO ('2026-04-02')",
    "CREATE TABLE lines_bench PARTITION OF charger_log_lines FOR VALUES FROM ('2026-04-01') TO ('2026-04-02')",
)
#: A call every 10 s, and its answer up to 50 ms later; one answer in 20 is an error.
FRAMES = text("""
    INSERT INTO charger_logs (charger_id, timestamp, event_id, direction, action, message)
    SELECT 'dep-' || lpad(n\\:\\:text, 32, '0'),
        timestamptz '2026-04-01 08:01' + exchange * interval '10 seconds' + side * random() * interval '50 ms',
        n || '-' || exchange || '-' || side, (ARRAY['cp_to_csms', 'csms_to_cp'])[side + 1],
        (ARRAY['Heartbeat', 'MeterValues', 'StatusNotification', 'StartTransaction'])[exchange % 4 + 1],
        CASE WHEN side = 0 THEN '[2,"' || id || '","MeterValues",{"value"\\: "' || repeat('x', 300) || '"}]'
            WHEN exchange % 20 = 0 THEN '[4,"' || id || '","InternalError","",{}]'
            ELSE '[3,"' || id || '",{"currentTime"\\: "2026-04-01T08\\:00\\:00Z"}]' END
    FROM generate_series(1, CAST(:chargers AS bigint)) AS n, generate_series(1, CAST(:frames AS int) / 2) AS exchange,
        generate_series(0, 1) AS side, md5(n || '-' || exchange) AS id
    ORDER BY exchange, n, side  -- as the log reader writes them: those of a charger lie far from each other
""")
LINES = text("""
    INSERT INTO charger_log_lines (charger_id, timestamp, event_id, kind, state)
    SELECT 'dep-' || lpad(n\\:\\:text, 32, '0'), timestamptz '2026-04-01 08:00' + random() * interval '20 seconds',
        n || '-' || state, 'connection', state
    FROM generate_series(1, CAST(:chargers AS bigint)) AS n, unnest(ARRAY['connecting', 'connected', 'accepted']) AS state
""")
JOB = text("""
    INSERT INTO jobs (organization_id, action, status, total, waiting, succeeded, requested_by, created_at, finished_at, next_at)
    VALUES (:organization, 'start', 'finished', :chargers, 0, :chargers, 'bench', '2026-04-01 08:00Z', now(), NULL)
    RETURNING id
""")
ITEMS = text("""
    INSERT INTO job_items (job_id, position, charger_id, identity, generation, result, command_id, requested_at, finished_at)
    SELECT :job_id, row_number() OVER (ORDER BY id), id, identity, 1, 'succeeded', newest_command_id, '2026-04-01 08:00Z', now()
    FROM chargers
""")


def measure() -> Report:
    with running_stores() as stores, ExitStack() as stack:
        ports, jobs = {}, {}
        for size in SIZES:
            url = stores.new_database(f"reports_{size[0]}")
            jobs[size] = _fill(url, *size)
            ports[size] = free_port()
            program = api(url, stores.redis_url, ports[size], WEB_CONCURRENCY="1")
            stack.enter_context(running_process(program, stores.folder))
        rows = [
            _row(ports[size], size, form, f"/ocpp/jobs/{jobs[size]}/report?format={form}")
            for size in SIZES
            for form in (FORMATS if size == SIZE else FORMATS[:1])
        ]
        alone, beside = _other(ports[SIZE], f"/ocpp/jobs/{jobs[SIZE]}/report")
    return _report(rows, alone, beside)


def _fill(database_url: str, chargers: int, frames: int) -> int:
    """Returns the id of the job that started all of them."""
    engine = make_engine(database_url, pool_size=2)
    insert_chargers(engine, chargers)
    with bulk_connection(engine) as connection:
        for partition in PARTITIONS:
            connection.execute(text(partition))
        connection.execute(FRAMES, {"chargers": chargers, "frames": frames})
        connection.execute(LINES, {"chargers": chargers})
        job_id: int = connection.scalars(JOB, {"organization": ORGANIZATION, "chargers": chargers}).one()
        connection.execute(ITEMS, {"job_id": job_id})
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    engine.dispose()
    return job_id


def _row(port: int, size: tuple[int, int], form: str, path: str) -> tuple[str, str, str, Load, int]:
    bearer = token()
    answer = httpx.get(
        f"http://{HOST}:{port}{path}", headers={"Authorization": f"Bearer {bearer}"}, timeout=30
    )
    answer.raise_for_status()
    loads = [
        drive(port, repeat(get(path, bearer)), seconds=ROUND_S, status=200, connections=1)
        for _ in range(ROUNDS)
    ]
    chargers, frames = size
    return f"{chargers:,}", f"{chargers * frames:,}", form, add_up(loads), len(answer.content)


def _other(port: int, path: str) -> tuple[Load, Load]:
    """Reads of another organization, alone and while two clients of the first one fetch report after report."""
    read = get("/ocpp/chargers?limit=10", token(OTHER))
    found: dict[bool, list[Load]] = {False: [], True: []}
    for turn in range(2 * ROUNDS):
        busy = bool(turn % 2)
        reports = Thread(
            target=drive,
            args=(port, repeat(get(path, token()))),
            kwargs={"seconds": ROUND_S, "status": 200, "connections": 2},
        )
        if busy:
            reports.start()
        found[busy].append(drive(port, repeat(read), seconds=ROUND_S, status=200, connections=1))
        if busy:
            reports.join()
    return add_up(found[False]), add_up(found[True])


def _report(rows: Sequence[tuple[str, str, str, Load, int]], alone: Load, beside: Load) -> Report:
    shown = [
        (*row[:3], f"{row[3].p50_ms:.0f}", f"{max(row[3].latencies_ms):.0f}", f"{row[4] / 1000:,.0f}")
        for row in rows
    ]
    of_a_thousand = next(row[3] for row in rows if row[:3] == ("1,000", "100,000", "json"))
    other = [
        (name, f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}", f"{load.requests:,}")
        for name, load in (("alone", alone), ("beside two clients that fetch reports", beside))
    ]
    return Report(
        tables=[
            Table(("chargers", "frames", "format", "p50 ms", "slowest ms", "KB"), shown),
            Table(("a list of another organization", "p50 ms", "p99 ms", "requests"), other),
        ],
        budgets=[
            Budget(
                "a report of 1,000 chargers and 100,000 frames, p50 in ms",
                of_a_thousand.p50_ms,
                at_most=1_000,
                reason="people wait a second without losing their thought (Nielsen, Usability Engineering)",
            ),
        ],
    )
