"""How many chargers of a list are in which state."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select, true
from sqlalchemy.orm import Session

from shared.fleet.attention import (
    ATTENTION_AFTER,
    Attention,
    attention_in,
    attention_of,
    attention_until,
)
from shared.fleet.listing.filters import (
    FACTS,
    Filters,
    groups_of,
    is_live,
    is_searched,
    match_attention,
    match_facts,
    match_places,
    match_searched,
    matches,
    matches_facts,
    places_of,
)
from shared.fleet.listing.search import MAX_FOUND, all_found, few_found, number_of
from shared.models import Charger, Command
from shared.vocabulary import OPEN, ObservedState, OcppState, ProvisioningStatus

SHOWN = ("status", "observed", "ocpp_state")  #: the facts that are counted


@dataclass(frozen=True, slots=True)
class Summary:
    """Numbers of chargers, except for the commands. Every state has a key, also when no charger is in it."""

    total: int
    attention: int
    observed: dict[str, int]
    ocpp_state: dict[str, int]  #: of those observed running; `none` while nothing is known
    status: dict[str, int]
    open_commands: int
    held_commands: int  #: open ones that the rate budget holds back


def summarize(session: Session, organization_id: str, filters: Filters) -> Summary:
    """The chargers that match the filters, counted by state. Costs as much as counting them: see count_chargers."""
    observed: Counter[str] = Counter()
    links: Counter[str] = Counter()
    status: Counter[str] = Counter()
    attention = 0
    for row in _counted(session, organization_id, filters):
        observed[row.observed] += row.chargers
        status[row.status] += row.chargers
        attention += row.attention
        if row.observed == ObservedState.RUNNING:
            links[row.ocpp_state or "none"] += row.chargers
    open_commands, held_commands = session.execute(_commands(organization_id, filters)).one()
    return Summary(
        total=observed.total(),
        attention=attention,
        observed=_of(ObservedState, observed),
        ocpp_state=_of([*OcppState, "none"], links),
        status=_of(ProvisioningStatus, status),
        open_commands=open_commands,
        held_commands=held_commands,
    )


class Everything(NamedTuple):
    """Numbers of chargers of all organizations."""

    observed: dict[str, int]
    ocpp_state: dict[str, int]  #: of those observed running; `none` while nothing is known
    attention: int


def summarize_all(session: Session) -> Everything:
    """All chargers, counted by state. Reads one index from end to end: some tenths of a second for 100,000 chargers."""
    observed: Counter[str] = Counter()
    links: Counter[str] = Counter()
    attention = 0
    for group in session.execute(_by_all_groups()):
        needs = attention_of(group.status, group.observed, group.ocpp_state)
        observed[group.observed] += group.chargers
        if group.observed == ObservedState.RUNNING:
            links[group.ocpp_state or "none"] += group.chargers
        if needs != Attention.NEVER:
            attention += group.chargers if needs == Attention.AT_ONCE else group.settled
    return Everything(_of(ObservedState, observed), _of([*OcppState, "none"], links), attention)


def _by_all_groups() -> Select[Any]:
    """Each organization's groups with their facts, their chargers, and those long enough in their state."""
    settled = func.count().filter(Charger.observed_since <= func.now() - ATTENTION_AFTER)
    counted = (
        select(
            Charger.organization_id,
            Charger.list_group,
            func.count().label("chargers"),
            settled.label("settled"),
        )
        .where(Charger.deleted_at.is_(None))
        .group_by(Charger.organization_id, Charger.list_group)
        .cte("counted")
    )
    one = (
        select(*(FACTS[name].label(name) for name in SHOWN))
        .where(
            Charger.deleted_at.is_(None),
            Charger.organization_id == counted.c.organization_id,
            Charger.list_group == counted.c.list_group,
        )
        .limit(1)
        .lateral("one")
    )
    return select(one, counted.c.chargers, counted.c.settled).select_from(counted.join(one, true()))


def _of(states: Iterable[str], counts: Counter[str]) -> dict[str, int]:
    return {str(state): counts[state] for state in states}


class _Counts(NamedTuple):
    status: str
    observed: str
    ocpp_state: str | None
    chargers: int
    attention: int


def _counted(session: Session, organization_id: str, filters: Filters) -> Iterator[_Counts]:
    """Numbers that add up to those of all matches; several may be of the same states."""
    if filters.identity is not None or places_of(filters):
        conditions = [*match_places(filters), *matches(filters)]
        rows = session.execute(_by_facts(organization_id).where(*conditions)).all()
    elif is_searched(filters):
        rows = _found(session, organization_id, filters)
    else:
        rows = session.execute(_by_groups(organization_id, filters)).all()
    return (_Counts(*row) for row in rows)


def _numbers(attention: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    needs_attention = Charger.observed_since <= attention_until(attention)
    return func.count().label("chargers"), func.count().filter(needs_attention).label("attention")


def _by_groups(organization_id: str, filters: Filters) -> Select[Any]:
    groups = groups_of(organization_id)
    attention = attention_in(groups.c)
    of_group = (
        select(*_numbers(attention))
        .select_from(Charger)
        .where(
            *is_live(organization_id),
            Charger.list_group == groups.c.list_group,
            *match_attention(attention, filters),
        )
        .lateral("of_group")
    )
    counted = select(*(groups.c[name] for name in SHOWN), of_group)
    return counted.select_from(groups.join(of_group, true())).where(*match_facts(groups.c, filters))


def _by_facts(organization_id: str) -> Select[Any]:
    facts = [FACTS[name].label(name) for name in SHOWN]
    counted = select(*facts, *_numbers(attention_in(FACTS))).where(*is_live(organization_id))
    return counted.group_by(*facts)


def _found(session: Session, organization_id: str, filters: Filters) -> Sequence[Row[Any]]:
    """By the index of texts or of labels. What has more than MAX_FOUND matches is counted among all texts or labels."""
    found = few_found(organization_id, filters)
    if (session.scalar(select(number_of(found))) or 0) >= MAX_FOUND:
        found = all_found(organization_id, filters).cte("found")
    counted = _by_facts(organization_id).where(*matches_facts(filters), *match_searched(filters))
    return session.execute(counted.join(found, Charger.id == found.c.charger_id)).all()


def _commands(organization_id: str, filters: Filters) -> Select[int, int]:
    """How many commands of the chargers are open, and how many of those are held back."""
    return (
        select(func.count(), func.count(Command.held_since))
        .join(Charger, Charger.id == Command.charger_id)
        .where(
            Command.organization_id == organization_id,
            Command.status.in_(OPEN),
            *is_live(organization_id),
            *match_places(filters),
            *matches(filters),
        )
    )
