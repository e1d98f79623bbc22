from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shared.database import make_engine
from shared.models import Base


def test_the_migrations_make_the_tables_that_the_models_describe(new_database: Callable[[], str]) -> None:
    engine = make_engine(new_database(), pool_size=1)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()

    assert differences == []
