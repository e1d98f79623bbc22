"""A schema that is older than this version is reported before any work begins; a newer one is fine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text

from shared.database.engine import make_engine
from shared.database.migrate import alembic_config
from shared.database.schema import schema_trouble_of


def set_revision(url: str, revision: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        (None, None),
        ("0001", "run chargehand migrate"),
        ("0099", None),  # of a version that does not exist yet
    ],
    ids=["as it should be", "behind", "ahead"],
)
def test_only_an_older_schema_is_reported(
    new_database: Callable[[], str], revision: str | None, says: str | None
) -> None:
    url = new_database()
    if revision is not None:
        set_revision(url, revision)
    engine = make_engine(url)

    trouble = schema_trouble_of(engine)
    engine.dispose()

    assert (trouble is None) == (says is None)
    if says is not None:
        assert trouble is not None
        assert says in trouble
        assert "\n" not in trouble


def test_a_database_that_was_never_migrated_is_reported(new_database: Callable[[], str]) -> None:
    url = make_url(new_database()).set(database="postgres")
    engine = make_engine(url.render_as_string(hide_password=False))

    trouble = schema_trouble_of(engine)
    engine.dispose()

    assert trouble == "The database has not been migrated: run chargehand migrate"


def test_the_file_of_each_migration_begins_with_its_revision_and_the_newest_comes_last() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    newest_first = [(script.revision, Path(script.path).name[:5]) for script in scripts.walk_revisions()]

    assert all(begins == f"{revision}_" for revision, begins in newest_first)
    assert newest_first == sorted(newest_first, reverse=True)
