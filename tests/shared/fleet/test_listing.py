"""The facts that triggers derive for lists agree with Python's, after any change."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select, text, update

from shared.database.engine import Sessions
from shared.fleet.observed import observed_of
from shared.models import Charger, ChargerLabel, ChargerSearch
from shared.vocabulary import ObservedState, OcppState, OcppVersion, ProvisioningStatus
from tests.shared.fleet.test_charger_counts import charger

NOW = datetime(2026, 4, 2, tzinfo=UTC)
counts = st.integers(0, 2)

in_any_state = hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@in_any_state
@given(desired=st.integers(0, 1), running=counts, pending=counts, seen=st.booleans())
def test_the_database_and_python_name_an_observed_state_alike(
    engine: Engine, desired: int, running: int, pending: int, seen: bool
) -> None:
    with engine.connect() as connection:
        word = connection.scalar(
            text("SELECT observed_state(:d ::smallint, :r ::smallint, :p ::smallint, :at ::timestamptz)"),
            {"d": desired, "r": running, "p": pending, "at": NOW if seen else None},
        )

    assert word == (observed_of(desired, running, pending) if seen else "unknown")
    assert word in [*ObservedState]


facts = st.fixed_dictionaries(
    {
        "provisioning_status": st.sampled_from([*ProvisioningStatus]),
        "desired_count": st.integers(0, 1),
        "running_count": counts,
        "pending_count": counts,
        "observed_at": st.sampled_from([None, NOW]),
        "link_state": st.sampled_from([None, *OcppState]),
        "ocpp_version": st.sampled_from([*OcppVersion]),
        "brand_slug": st.sampled_from(["abb", "wallbox"]),
        "model_slug": st.sampled_from(["terra-54", "terra-94"]),
    }
)


def _listed_by(row: dict[str, Any]) -> tuple[Any, ...]:
    observed = "unknown"
    if row["observed_at"] is not None:
        observed = observed_of(row["desired_count"], row["running_count"], row["pending_count"])
    same = ("provisioning_status", "link_state", "ocpp_version", "brand_slug", "model_slug")
    return (observed, *(row[name] for name in same))


@in_any_state
@given(one=facts, other=facts)
def test_chargers_form_a_group_when_no_filter_distinguishes_them(
    sessions: Sessions, one: dict[str, Any], other: dict[str, Any]
) -> None:
    with sessions() as session:
        ids = []
        for row in (one, other):
            made = charger("acme")
            for name, value in row.items():
                setattr(made, name, value)
            session.add(made)
            ids.append(made.id)
        session.flush()
        groups = session.scalars(select(Charger.list_group).where(Charger.id.in_(ids))).all()

    assert (groups[0] == groups[1]) is (_listed_by(one) == _listed_by(other))


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)


@in_any_state
@given(identity=st.text("aAbB1-", min_size=1, max_size=8), name=st.none() | texts, query=texts)
def test_the_index_of_texts_never_hides_a_match(
    engine: Engine, identity: str, name: str | None, query: str
) -> None:
    for part in {query, identity[-3:], (name or "")[1:7]} - {""}:
        with engine.connect() as connection:
            found, indexed = connection.execute(
                text(
                    "SELECT strpos(content, lower(:q)) > 0,"
                    " search_grams('acme', content) @> searched_grams('acme', lower(:q))"
                    " FROM search_text(:identity, :name) AS content"
                ),
                {"q": part, "identity": identity, "name": name},
            ).one()

        assert indexed or not found
        if part in identity or part in (name or ""):
            assert found


def _labelled(sessions: Sessions) -> dict[str, dict[str, str]]:
    with sessions() as session:
        kept: dict[str, dict[str, str]] = {}
        for row in session.scalars(select(ChargerLabel).order_by(ChargerLabel.name)):
            assert row.organization_id == "acme"
            kept.setdefault(row.charger_id, {})[row.name] = row.value
        return kept


def test_exactly_the_chargers_that_are_not_deleted_have_labels(sessions: Sessions) -> None:
    with sessions.begin() as session:
        made = [charger("acme") for _ in range(3)]
        for one in made:
            one.labels = {"run": "1", "smoke": ""}
        session.add_all([*made, charger("acme")])
    first, second, third = (one.id for one in made)
    assert _labelled(sessions) == {one: {"run": "1", "smoke": ""} for one in (first, second, third)}

    with sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == first).values(deleted_at=func.now()))
        session.execute(update(Charger).where(Charger.id == second).values(labels={"run": "2"}))
        session.execute(delete(Charger).where(Charger.id == third))
    assert _labelled(sessions) == {second: {"run": "2"}}

    with sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == first).values(deleted_at=None))
        session.execute(update(Charger).where(Charger.id == second).values(labels={}))
    assert _labelled(sessions) == {first: {"run": "1", "smoke": ""}}


def _kept(sessions: Sessions) -> dict[str, str]:
    with sessions() as session:
        return {row.charger_id: row.content for row in session.scalars(select(ChargerSearch))}


def test_exactly_the_chargers_that_are_not_deleted_have_texts(sessions: Sessions) -> None:
    with sessions.begin() as session:
        made = [charger("acme") for _ in range(3)]
        session.add_all(made)
    first, second, third = (one.id for one in made)

    with sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == first).values(deleted_at=func.now()))
        session.execute(update(Charger).where(Charger.id == second).values(name="Halle ÄÖ"))
        session.execute(delete(Charger).where(Charger.id == third))
    assert _kept(sessions) == {second: f"{second}\nhalle äö"}

    with sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == first).values(deleted_at=None, identity="BACK"))
        session.execute(update(Charger).where(Charger.id == second).values(observed_at=func.now()))
    assert _kept(sessions) == {first: "back\n", second: f"{second}\nhalle äö"}

    with sessions.begin() as session:
        session.execute(text("TRUNCATE chargers, charger_links, commands, charger_events CASCADE"))
    assert _kept(sessions) == {}
