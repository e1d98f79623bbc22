from collections.abc import Callable

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared.database import alembic_config, make_engine, transactional
from shared.models import Base
from tests.shared.test_charger_counts import charger


def test_the_migrations_make_the_tables_that_the_models_describe(new_database: Callable[[], str]) -> None:
    engine = make_engine(new_database(), pool_size=1)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()

    assert differences == []


def _go(engine: Engine, to: Callable[..., None], revision: str) -> None:
    with transactional(engine).begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        to(config, revision)


def test_lists_find_chargers_that_were_there_before_the_upgrade(new_database: Callable[[], str]) -> None:
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
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert [tuple(row) for row in texts] == [(there_id, f"{there_id}\n")]
    assert ages == 2
    assert differences == []
