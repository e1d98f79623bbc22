from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, insert, inspect, select, text, update
from sqlalchemy.orm import Session

from chargehand.cli import main
from shared.database import migrate as migrating
from shared.database.engine import make_engine, transactional
from shared.database.migrate import alembic_config, migrate
from shared.models import Base, Brand, Charger, Location
from tests.shared.fleet.test_charger_counts import charger
from tests.support.environment import environment
from tests.support.waiting import wait_until

STALE_GROUPS = text("""
    SELECT count(*) FROM chargers WHERE list_group IS DISTINCT FROM list_group(
        provisioning_status, observed_state(desired_count, running_count, pending_count, observed_at),
        ocpp_state, ocpp_version, brand_slug, model_slug
    )
""")
INVALID_INDEXES = text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
TEXTS = text("SELECT charger_id, content FROM charger_search ORDER BY charger_id")
IS_BLOCKED = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = to_regclass('chargers'))"
)
BUILDS = text("SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = current_database())")
#: What the first 0006 made of the column and its indexes.
GENERATED = text("""
    ALTER TABLE chargers DROP COLUMN list_group, ADD COLUMN list_group bigint NOT NULL GENERATED ALWAYS AS (list_group(
        provisioning_status, observed_state(desired_count, running_count, pending_count, observed_at),
        ocpp_state, ocpp_version, brand_slug, model_slug
    )) STORED
""")


@pytest.fixture
def own(new_database: Callable[[], str]) -> Iterator[Engine]:
    """An engine for a database of the test's own."""
    engine = make_engine(new_database(), pool_size=4)
    yield engine
    engine.dispose()


def _url(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def _add(engine: Engine, *chargers: Charger) -> list[str]:
    with Session(engine) as session:
        session.add_all(chargers)
        session.commit()
        return [charger.id for charger in chargers]


def _add_as_before(engine: Engine, new: Charger) -> str:
    """As a process of the version before, which does not know the columns that are still to come."""
    there = {column["name"] for column in inspect(engine).get_columns("chargers")}
    with engine.connect() as connection:
        connection.execute(
            insert(Charger).values(
                {
                    each.key: value
                    for each in Charger.__mapper__.column_attrs
                    if each.columns[0].name in there and (value := getattr(new, each.key)) is not None
                }
            )
        )
    return new.id


def _differences(connection: Connection) -> list[Any]:
    """Between the database's schema and the models."""
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def test_the_migrations_create_the_tables_that_the_models_describe(new_database: Callable[[], str]) -> None:
    engine = make_engine(new_database(), pool_size=1)
    with engine.connect() as connection:
        differences = _differences(connection)
    engine.dispose()

    assert differences == []


def _go(engine: Engine, to: Callable[..., None], revision: str) -> None:
    with transactional(engine).connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        to(config, revision)


def test_lists_find_chargers_from_before_the_upgrade(new_database: Callable[[], str]) -> None:
    engine = make_engine(new_database(), pool_size=1)
    there, gone = charger("acme"), charger("acme")
    with Session(engine) as session:
        session.add_all([there, gone])
        session.flush()
        there_id, gone_id = there.id, gone.id
        session.execute(text("UPDATE chargers SET deleted_at = now() WHERE id = :id"), {"id": gone_id})
        session.commit()
    before = text("SELECT id, list_group FROM chargers ORDER BY id")
    with engine.connect() as connection:
        groups = connection.execute(before).all()

    _go(engine, command.downgrade, "0005")
    _go(engine, command.upgrade, "head")

    with engine.connect() as connection:
        assert connection.execute(before).all() == groups
        texts = connection.execute(text("SELECT charger_id, content FROM charger_search")).all()
        ages = connection.execute(
            text("SELECT count(*) FROM chargers WHERE observed_since <= now()")
        ).scalar()
        differences = _differences(connection)
    engine.dispose()
    assert [tuple(row) for row in texts] == [(there_id, f"{there_id}\n")]
    assert ages == 2
    assert differences == []


def test_chargers_may_change_while_the_upgrade_builds_indexes(own: Engine) -> None:
    kept, renamed, deleted = _add(own, *(charger("acme") for _ in range(3)))
    _go(own, command.downgrade, "0005")

    with ThreadPoolExecutor() as threads, transactional(own).connect() as older:
        older.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        older.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        older.execute(select(Brand.slug))  # a snapshot, which a build of an index waits for
        upgrade = threads.submit(migrate, _url(own))
        with own.connect() as connection:
            wait_until(lambda: connection.scalar(BUILDS))
            connection.execute(
                update(Charger).where(Charger.id == renamed).values(name="New", running_count=1)
            )
            connection.execute(update(Charger).where(Charger.id == deleted).values(deleted_at=text("now()")))
        created = _add_as_before(own, charger("acme"))
        assert not upgrade.done()
        older.commit()
        upgrade.result(30)

    with own.connect() as connection:
        assert connection.scalar(STALE_GROUPS) == 0
        assert connection.scalar(INVALID_INDEXES) == 0
        texts = {(row.charger_id, row.content) for row in connection.execute(TEXTS)}
    assert texts == {(kept, f"{kept}\n"), (renamed, f"{renamed}\nnew"), (created, f"{created}\n")}


def test_the_upgrade_fills_a_charger_that_was_locked_as_soon_as_it_is_free(own: Engine) -> None:
    locked, free = _add(own, charger("acme"), charger("acme"))
    _go(own, command.downgrade, "0010")
    fill = ScriptDirectory.from_config(alembic_config()).get_revision("0011").module.fill
    group = text("SELECT list_group FROM chargers WHERE id = :id")

    with ThreadPoolExecutor() as threads, own.connect() as filling, own.connect() as connection:
        with transactional(own).connect() as other:
            other.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            other.execute(select(Charger.id).where(Charger.id == locked).with_for_update())
            filled = threads.submit(fill, filling)
            wait_until(lambda: connection.scalar(group, {"id": free}) is not None)
            assert not filled.done()
            other.execute(update(Charger).where(Charger.id == locked).values(link_state="accepted"))
            other.commit()
        filled.result(10)
        assert connection.scalar(STALE_GROUPS) == 0


def test_an_upgrade_that_waits_for_a_backup_does_not_block_queries(
    own: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_PAUSE_S", 0.1)
    _go(own, command.downgrade, "0005")

    with ThreadPoolExecutor() as threads, transactional(own).connect() as backup:
        backup.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        backup.execute(text("LOCK TABLE chargers IN ACCESS SHARE MODE"))
        upgrade = threads.submit(migrate, _url(own))
        with own.connect() as connection:
            for _ in range(2):
                wait_until(lambda: connection.scalar(IS_BLOCKED))
                connection.execute(text("SET statement_timeout = 2000"))
                connection.execute(select(Charger.id)).all()
        assert not upgrade.done()
        backup.commit()
        upgrade.result(30)

    with own.connect() as connection:
        assert _differences(connection) == []


def test_an_upgrade_that_gets_no_lock_in_time_fails_and_can_be_repeated(
    own: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_TRIES", 2)
    monkeypatch.setattr(migrating, "LOCK_PAUSE_S", 0.1)
    _go(own, command.downgrade, "0005")

    with transactional(own).connect() as backup:
        backup.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        backup.execute(text("LOCK TABLE chargers IN ACCESS SHARE MODE"))
        given_up = CliRunner().invoke(main, ["migrate"], env=environment(_url(own), "redis://localhost"))
    migrate(_url(own))

    assert given_up.exit_code == 1
    assert given_up.stderr.startswith("Error: Another transaction, perhaps a backup, holds a table")
    assert len(given_up.stderr.splitlines()) == 1
    with own.connect() as connection:
        assert _differences(connection) == []


def test_a_build_of_an_index_that_was_interrupted_is_repeated(own: Engine) -> None:
    _go(own, command.downgrade, "0010")
    with own.connect() as connection:
        connection.execute(text("CREATE INDEX chargers_group ON chargers (organization_id, list_group, id)"))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass('chargers_group')")
        )

    migrate(_url(own))

    with own.connect() as connection:
        assert connection.scalar(INVALID_INDEXES) == 0
        assert _differences(connection) == []


def test_a_database_with_the_generated_column_of_the_first_0006_gets_the_same_schema(own: Engine) -> None:
    [charger_id] = _add(own, charger("acme"))
    _go(own, command.downgrade, "0010")
    with own.connect() as connection:
        connection.execute(GENERATED)

    migrate(_url(own))

    with own.connect() as connection:
        connection.execute(update(Charger).where(Charger.id == charger_id).values(link_state="accepted"))
        assert connection.scalar(STALE_GROUPS) == 0
        assert _differences(connection) == []


def test_each_text_that_named_a_location_becomes_one(own: Engine) -> None:
    _go(own, command.downgrade, "0029")
    for organization, location_id, name in (
        ("acme", "Site 7/b", "Seven"), ("acme", "Site 7/b", None), ("acme", "site-8", None), ("globex", "site-8", None),
    ):  # fmt: skip
        new = charger(organization)
        new.location_id, new.location_name = location_id, name
        _add_as_before(own, new)
    _add_as_before(own, charger("acme"))

    _go(own, command.upgrade, "head")
    late = charger("acme")  # of a process of the release before
    late.location_id = "site-9"
    _add_as_before(own, late)

    with own.connect() as connection:
        found = connection.execute(select(Location.organization_id, Location.id, Location.name)).all()
        validated = connection.scalar(
            text("SELECT convalidated FROM pg_constraint WHERE conname = 'chargers_location_exists'")
        )
        differences = _differences(connection)
    assert sorted(tuple(row) for row in found) == [
        ("acme", "Site 7/b", "Seven"),
        ("acme", "site-8", "site-8"),
        ("acme", "site-9", "site-9"),
        ("globex", "site-8", "site-8"),
    ]
    assert validated
    assert differences == []


def test_processes_that_migrate_at_once_take_turns(own: Engine) -> None:
    _add_as_before(own, charger("acme"))
    _go(own, command.downgrade, "0005")

    with ThreadPoolExecutor(3) as threads:
        upgrades = [threads.submit(migrate, _url(own)) for _ in range(3)]
        assert [upgrade.result(30) for upgrade in upgrades] == [None] * 3

    with own.connect() as connection:
        assert connection.scalar(INVALID_INDEXES) == 0
        assert _differences(connection) == []
