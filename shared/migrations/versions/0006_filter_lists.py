"""Filter and sort lists of a million chargers: groups, the age of a state, and the texts to search

`list_group` is one number for everything that a list filters by and that takes few values. An organization has few
groups, and each sort order has an index by group, so any filter is a merge of a few ordered walks. This migration only
makes what is empty, which takes milliseconds. 0011 fills it while the service runs.

`charger_search` holds the texts that a list is searched for, apart from the chargers: PostgreSQL writes an entry into
every index of a row at most updates, and a charger is updated at every command, its name hardly ever. `pg_trgm` is not
in the wheel that `make run` uses, so `search_grams` makes the substrings of up to five characters itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OBSERVED_STATE = """
CREATE FUNCTION observed_state(
    desired_count smallint, running_count smallint, pending_count smallint, observed_at timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE
    WHEN observed_at IS NULL THEN 'unknown'
    WHEN desired_count <> 0 THEN CASE WHEN running_count <> 0 THEN 'running' ELSE 'starting' END
    WHEN running_count <> 0 OR pending_count <> 0 THEN 'stopping'
    ELSE 'stopped'
END
"""
# Two combinations with the same hash would be one group, and a list could miss one of them: among ten thousand
# combinations one time in 10^11.
LIST_GROUP = r"""
CREATE FUNCTION list_group(
    provisioning_status text, observed_state text, ocpp_state text, ocpp_version text, brand_slug text, model_slug text
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN hashtextextended(
    provisioning_status || E'\n' || observed_state || E'\n' || coalesce(ocpp_state, '') || E'\n' || ocpp_version
    || E'\n' || brand_slug || E'\n' || model_slug, 0
)
"""
NOTE_OBSERVED_SINCE = """
CREATE FUNCTION note_observed_since() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.observed_since := now();
    RETURN NEW;
END $$
"""
OBSERVED_SINCE = """
CREATE TRIGGER chargers_observed_since BEFORE UPDATE ON chargers
FOR EACH ROW WHEN (
    observed_state(OLD.desired_count, OLD.running_count, OLD.pending_count, OLD.observed_at)
    <>
    observed_state(NEW.desired_count, NEW.running_count, NEW.pending_count, NEW.observed_at)
) EXECUTE FUNCTION note_observed_since()
"""
# A query cannot have a line feed, so no match goes from the identity into the name.
SEARCH_TEXT = r"""
CREATE FUNCTION search_text(identity text, name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(identity || E'\n' || coalesce(name, ''))
"""
# The organization is one more element, so that the index finds what is common to it and to a text. The cost keeps
# PostgreSQL from computing them for every row instead of reading the index.
SEARCH_GRAMS = r"""
CREATE FUNCTION search_grams(organization_id text, content text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10000 RETURN (
    SELECT array_agg(substr(content, first, size)) || (E'\n\n' || organization_id)
    FROM generate_series(1, length(content)) AS first, generate_series(1, 5) AS size
)
"""
SEARCHED_GRAMS = r"""
CREATE FUNCTION searched_grams(organization_id text, query text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    SELECT array_agg(substr(query, first, 5)) || (E'\n\n' || organization_id)
    FROM generate_series(1, greatest(length(query) - 4, 1)) AS first
)
"""
ADD_TEXTS = """
CREATE FUNCTION add_search_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_search (charger_id, organization_id, content)
    SELECT id, organization_id, search_text(identity, name) FROM changed WHERE deleted_at IS NULL;
    RETURN NULL;
END $$
"""
CHANGE_TEXT = """
CREATE FUNCTION change_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NULL THEN
        INSERT INTO charger_search (charger_id, organization_id, content)
        VALUES (NEW.id, NEW.organization_id, search_text(NEW.identity, NEW.name))
        ON CONFLICT (charger_id) DO UPDATE SET content = excluded.content;
    ELSE
        DELETE FROM charger_search WHERE charger_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""
REMOVE_TEXTS = """
CREATE FUNCTION remove_search_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM charger_search USING changed WHERE charger_search.charger_id = changed.id;
    RETURN NULL;
END $$
"""
REMOVE_ALL_TEXTS = """
CREATE FUNCTION remove_all_search_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM charger_search;
    RETURN NULL;
END $$
"""
SEARCH_TRIGGERS = (
    """
    CREATE TRIGGER chargers_search_new AFTER INSERT ON chargers
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION add_search_texts()
    """,
    """
    CREATE TRIGGER chargers_search_changed AFTER UPDATE OF identity, name, deleted_at ON chargers
    FOR EACH ROW WHEN (
        (OLD.identity, OLD.name, OLD.deleted_at IS NULL) IS DISTINCT FROM (NEW.identity, NEW.name, NEW.deleted_at IS NULL)
    ) EXECUTE FUNCTION change_search_text()
    """,
    """
    CREATE TRIGGER chargers_search_gone AFTER DELETE ON chargers
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION remove_search_texts()
    """,
    """
    CREATE TRIGGER chargers_search_none AFTER TRUNCATE ON chargers
    FOR EACH STATEMENT EXECUTE FUNCTION remove_all_search_texts()
    """,
)
FUNCTIONS = (
    "note_observed_since",
    "add_search_texts",
    "change_search_text",
    "remove_search_texts",
    "remove_all_search_texts",
)


def upgrade() -> None:
    op.execute("LOCK TABLE chargers IN ACCESS EXCLUSIVE MODE")
    for function in (OBSERVED_STATE, LIST_GROUP, SEARCH_TEXT, SEARCH_GRAMS, SEARCHED_GRAMS):
        op.execute(function)
    op.execute(
        "ALTER TABLE chargers"
        " ADD COLUMN observed_since timestamptz NOT NULL DEFAULT now(),"
        " ADD COLUMN list_group bigint"
    )
    op.execute(NOTE_OBSERVED_SINCE)
    op.execute(OBSERVED_SINCE)
    op.create_table(
        "charger_search",
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("charger_id"),
    )
    for statement in (ADD_TEXTS, CHANGE_TEXT, REMOVE_TEXTS, REMOVE_ALL_TEXTS, *SEARCH_TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {', '.join(FUNCTIONS)} CASCADE")
    op.drop_table("charger_search")
    op.drop_column("chargers", "list_group")
    op.drop_column("chargers", "observed_since")
    op.execute("DROP FUNCTION search_text, search_grams, searched_grams, list_group, observed_state")
