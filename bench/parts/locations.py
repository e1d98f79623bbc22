"""Locations: what calls about a location cost when it has ten thousand times as many chargers."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat
from os import environ

from sqlalchemy import text

from bench.report import Budget, Report, Table
from bench.support.fleet import bulk_connection, charger_id, insert_chargers
from bench.support.load import Load, add_up, drive, get
from bench.support.servers import ORGANIZATION, api, running_process, running_stores, token
from embedded.ports import free_port
from shared.database.engine import make_engine

SIZES = tuple(map(int, environ.get("BENCH_LOCATION_SIZES", "10,1000,100000").split(",")))
ROUNDS = 4
ROUND_S = 1.0
PAGE = 10  # chargers
STOPPED = 5  # chargers of each location
#: The path of each call; {} is the location's id.
NUMBERS = "numbers"
BY_CURSOR = "list, cursor"
CALLS = {
    NUMBERS: "/ocpp/locations/{}",
    "summary": "/ocpp/chargers/summary?location_id={}",
    "list, page 1 with total": f"/ocpp/chargers?limit={PAGE}&location_id={{}}",
    "list, page 1, contract": f"/ocpp/locations/{{}}/chargers?limit={PAGE}",
    BY_CURSOR: f"/ocpp/chargers?limit={PAGE}&location_id={{}}&cursor=",
    "list, common status, cursor": f"/ocpp/chargers?limit={PAGE}&location_id={{}}&status=READY&cursor=",
    "list, rare state, cursor": f"/ocpp/chargers?limit={PAGE}&location_id={{}}&observed=stopped&cursor=",
    "list, sort=identity, cursor": f"/ocpp/chargers?limit={PAGE}&location_id={{}}&sort=identity&cursor=",
}

LOCATE = text(
    "INSERT INTO locations (organization_id, id, name) VALUES (:organization, :location, :location)"
)
PLACE = text("UPDATE chargers SET location_id = :location WHERE id BETWEEN :first_id AND :last_id")
STOP = text(
    "UPDATE chargers SET desired_count = 0, running_count = 0 WHERE id BETWEEN :first_id AND :last_id"
)


def measure() -> Report:
    bearer = token()
    with running_stores() as stores, ExitStack() as stack:
        url = stores.new_database("locations")
        _fill(url)
        port = free_port()
        program = api(url, stores.redis_url, port, WEB_CONCURRENCY="1")
        stack.enter_context(running_process(program, stores.folder))
        loads: dict[tuple[str, int], list[Load]] = {(name, size): [] for name in CALLS for size in SIZES}
        for _ in range(ROUNDS + 1):  # the first warms up
            for (name, size), rounds in loads.items():
                requests = _requests(CALLS[name].format(_location(size)), bearer)
                rounds.append(drive(port, requests, seconds=ROUND_S, status=200, connections=1))
    return _report({key: add_up(rounds[1:]) for key, rounds in loads.items()})


def _location(size: int) -> str:
    return f"of-{size}"


def _fill(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=2)
    insert_chargers(engine, sum(SIZES))
    with bulk_connection(engine) as connection:
        first = 1
        for size in SIZES:
            place = {"organization": ORGANIZATION, "location": _location(size)}
            connection.execute(LOCATE, place)
            stopped = {"first_id": charger_id(first), "last_id": charger_id(first + STOPPED - 1)}
            connection.execute(STOP, stopped)
            first += size
        connection.execute(text("SET session_replication_role = replica"))  # no events
        first = 1
        for size in SIZES:
            these = {"first_id": charger_id(first), "last_id": charger_id(first + size - 1)}
            connection.execute(PLACE, these | {"location": _location(size)})
            first += size
        connection.execute(text("VACUUM ANALYZE chargers, charger_search, locations"))
        connection.execute(text("CHECKPOINT"))
    engine.dispose()


def _requests(path: str, bearer: str) -> Iterator[bytes]:
    return repeat(get(path, bearer))


def _report(loads: dict[tuple[str, int], Load]) -> Report:
    rows = [
        (name, *(f"{loads[name, size].p50_ms:.1f} / {loads[name, size].p99_ms:.1f}" for size in SIZES))
        for name in CALLS
    ]
    smallest, largest = SIZES[0], SIZES[-1]
    numbers_ms = loads[NUMBERS, largest].p50_ms
    ratio = loads[BY_CURSOR, largest].p50_ms / loads[BY_CURSOR, smallest].p50_ms
    return Report(
        tables=[Table(("p50 / p99 ms", *(f"{size:,} chargers" for size in SIZES)), rows)],
        budgets=[
            Budget(
                f"a location of {largest:,} chargers with its numbers, p50 in ms",
                numbers_ms,
                at_most=100,
                reason="people take a tenth of a second for at once (Nielsen, Usability Engineering)",
            ),
            Budget(
                "a page by cursor, ratio of the p50 of the largest and the smallest location",
                ratio,
                at_most=2,
                reason="an index is one or two pages deeper, while a scan takes tens of milliseconds more",
            ),
        ],
    )
