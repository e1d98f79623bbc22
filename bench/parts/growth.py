"""Growth: what calls cost when an organization has a hundred times as many chargers."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from os import environ
from statistics import median

from sqlalchemy import text

from bench.report import Budget, Report, Table
from bench.support.fleet import bulk_connection, charger_id, insert_chargers
from bench.support.load import Load, add_up, drive, get, post
from bench.support.servers import ORGANIZATION, api, running_process, running_stores, token
from embedded.ports import free_port
from shared.database.engine import make_engine

SIZES = tuple(map(int, environ.get("BENCH_SIZES", "1000,100000").split(",")))  # at least 1000
LOGS_PER_CHARGER = 10
ROUNDS = 4
ROUND_S = 0.5
PAGE = 10  # chargers: the smallest fleet has a hundred pages
CHARGERS_CALLED = 500  # spread over the fleet
RARE = 20  # chargers of each fleet that have a rare value
#: The rare values. No other call depends on them.
RARITIES = (
    "provisioning_status = 'FAILED'",
    "running_count = 0",
    "ocpp_state = 'rejected'",
    "brand_slug = 'abb', model_slug = 'terra-54'",
    "location_id = 'here'",
    "name = 'Needle'",
    """labels = labels || '{"run": "7"}'""",
)
#: The path of each call; {} is a charger's id, {number} its number. A list without a cursor counts its matches.
CALLS = {
    "accept": "/ocpp/chargers/{}",
    "get": "/ocpp/chargers/{}",
    "status": "/ocpp/chargers/{}/status",
    "commands": "/ocpp/chargers/{}/commands",
    "logs": "/ocpp/chargers/{}/logs",
    "list, page 1": f"/ocpp/chargers?limit={PAGE}",
    "list, page 100": f"/ocpp/chargers?limit={PAGE}&page=100",
    "list, status, rare": f"/ocpp/chargers?limit={PAGE}&status=FAILED",
    "list, status, common": f"/ocpp/chargers?limit={PAGE}&status=READY&cursor=",
    "list, observed, rare": f"/ocpp/chargers?limit={PAGE}&observed=starting",
    "list, observed, common": f"/ocpp/chargers?limit={PAGE}&observed=running&cursor=",
    "list, ocpp_state, rare": f"/ocpp/chargers?limit={PAGE}&ocpp_state=rejected",
    "list, ocpp_version": f"/ocpp/chargers?limit={PAGE}&ocpp_version=OCPP1.6&cursor=",
    "list, brand_slug, rare": f"/ocpp/chargers?limit={PAGE}&brand_slug=abb",
    "list, model_slug, common": f"/ocpp/chargers?limit={PAGE}&model_slug=wallbox-pulsar-plus&cursor=",
    "list, location_id": f"/ocpp/chargers?limit={PAGE}&location_id=here",
    "list, identity": f"/ocpp/chargers?limit={PAGE}&identity=CP-{{number}}",
    "list, q, rare": f"/ocpp/chargers?limit={PAGE}&q=needle",
    "list, q, one identity": f"/ocpp/chargers?limit={PAGE}&q=CP-{{number}}&cursor=",
    "list, q, common": f"/ocpp/chargers?limit={PAGE}&q=cp-&cursor=",
    "list, labels, rare": f"/ocpp/chargers?limit={PAGE}&labels=run:7",
    "list, labels, common": f"/ocpp/chargers?limit={PAGE}&labels=fleet:all&cursor=",
    "list, labels, common and rare": f"/ocpp/chargers?limit={PAGE}&labels=fleet,run",
    "list, sort=created_at": f"/ocpp/chargers?limit={PAGE}&sort=created_at",
    "list, sort=identity": f"/ocpp/chargers?limit={PAGE}&sort=identity",
    "list, sort=state_since": f"/ocpp/chargers?limit={PAGE}&sort=state_since",
    "list, sort=-state_since, filtered": f"/ocpp/chargers?limit={PAGE}&sort=-state_since&status=READY&cursor=",
}

HERE = text("INSERT INTO locations (organization_id, id) VALUES (:organization, 'here')")
LABEL = text("""UPDATE chargers SET labels = '{"fleet": "all"}'""")
PARTITION = text("""
    CREATE TABLE charger_logs_bench PARTITION OF charger_logs FOR VALUES FROM ('2026-04-01') TO ('2026-04-02')
""")
LOGS = text("""
    INSERT INTO charger_logs (charger_id, timestamp, event_id, direction, action, message)
    SELECT 'dep-' || lpad(n\\:\\:text, 32, '0'), timestamptz '2026-04-01' + frame * interval '1 hour', n || '-' || frame,
        'cp_to_csms', 'Heartbeat', '[2,"1","Heartbeat",{}]'
    FROM generate_series(1, CAST(:size AS bigint)) AS n,
        generate_series(1, CAST(:frames AS int)) AS frame
""")


def measure() -> Report:
    bearer = token()
    with running_stores() as stores, ExitStack() as stack:
        ports = {}
        for size in SIZES:
            url = stores.new_database(f"growth_{size}")
            _fill(url, size)
            ports[size] = free_port()
            program = api(url, stores.redis_url, ports[size], WEB_CONCURRENCY="1")
            stack.enter_context(running_process(program, stores.folder))
        requests = {(name, size): _requests(name, size, bearer) for name in CALLS for size in SIZES}
        loads: dict[tuple[str, int], list[Load]] = {key: [] for key in requests}
        for _ in range(ROUNDS + 1):  # the first warms up
            for (name, size), some in requests.items():
                status = 202 if name == "accept" else 200
                loads[name, size].append(
                    drive(ports[size], some, seconds=ROUND_S, status=status, connections=2)
                )
    return _report({key: found[1:] for key, found in loads.items()})


def _fill(database_url: str, size: int) -> None:
    engine = make_engine(database_url, pool_size=2)
    insert_chargers(engine, size)
    with bulk_connection(engine) as connection:
        connection.execute(HERE, {"organization": ORGANIZATION})
        connection.execute(LABEL)
        for first, change in enumerate(RARITIES, start=1):
            some = range(first, size + 1, size // RARE)
            connection.execute(
                text(f"UPDATE chargers SET {change} WHERE id = ANY(:ids)"),  # noqa: S608  # RARITIES
                {"ids": [charger_id(number) for number in some]},
            )
        connection.execute(text("VACUUM ANALYZE chargers, charger_search, charger_labels"))
        connection.execute(PARTITION)
        connection.execute(LOGS, {"size": size, "frames": LOGS_PER_CHARGER})
        connection.execute(text("VACUUM ANALYZE charger_logs"))
        connection.execute(text("CHECKPOINT"))
    engine.dispose()


def _requests(name: str, size: int, bearer: str) -> Iterator[bytes]:
    """The call for chargers all over the fleet, without end. "accept" stops all of them, then starts all, and so on."""
    step = size // CHARGERS_CALLED
    for turn in count():
        verb = "/start-charger" if turn % 2 else "/stop-charger"
        for number in range(step, size + 1, step):  # no charger with a rare value
            path = CALLS[name].format(charger_id(number), number=number)
            yield post(path + verb, bearer) if name == "accept" else get(path, bearer)


def _report(loads: dict[tuple[str, int], list[Load]]) -> Report:
    smallest, largest = SIZES[0], SIZES[-1]
    # The median over the rounds, so that a slow minute of the machine affects both sides.
    ratios = {
        name: median(
            large.p50_ms / small.p50_ms
            for large, small in zip(loads[name, largest], loads[name, smallest], strict=True)
        )
        for name in CALLS
    }
    totals = {key: add_up(rounds) for key, rounds in loads.items()}
    rows = [
        (
            name,
            *(f"{totals[name, size].p50_ms:.1f} / {totals[name, size].p99_ms:.1f}" for size in SIZES),
            f"{ratios[name]:.2f}",
        )
        for name in CALLS
    ]
    worst = max(ratios, key=lambda name: ratios[name])
    return Report(
        tables=[
            Table(("p50 / p99 ms", *(f"{size:,} chargers" for size in SIZES), "ratio of the p50"), rows),
            Table(("grows most", "ratio"), [(worst, f"{ratios[worst]:.2f}")]),
        ],
        budgets=[
            Budget(
                "ratio of the p50 of the call that grows most",
                ratios[worst],
                at_most=2,
                reason=f"with {largest // smallest:,} times the rows an index is one or two pages deeper, while a scan takes "
                "tens of milliseconds more",
            )
        ],
    )
