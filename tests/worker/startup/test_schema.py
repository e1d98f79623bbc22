"""A worker that cannot work with its database's schema says so before it takes a message."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from shared.database.engine import make_engine
from tests.support.environment import environment
from tests.support.waiting import wait_until
from tests.worker.test_lifecycle import Broker, Worker


def test_a_worker_whose_schema_is_behind_says_so_in_one_line(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    broker = Broker(tmp_path)
    worker = Worker(tmp_path, environment(url, broker.server.url))

    with broker.up():
        worker.start()
        wait_until(lambda: "schema.behind" in worker.said(), within_s=30)
        worker.stop()

    (line,) = [line for line in worker.said().splitlines() if "schema.behind" in line]
    assert "run chargehand migrate" in line
    assert line.startswith("{")
