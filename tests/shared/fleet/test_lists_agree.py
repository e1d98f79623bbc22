"""Lists, their totals and their summaries have the chargers that a plain filter over all rows leaves, in order."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.labels import read_labels
from shared.fleet.listing import Filters, Sort, SortKey, Summary, count_chargers, list_chargers, summarize
from shared.fleet.observed import observed_state
from shared.models import Charger, Command
from shared.vocabulary import CommandStatus, ObservedState, OcppState, OcppVersion, ProvisioningStatus
from tests.shared.fleet.test_charger_counts import charger

NOW = datetime.now(UTC)
#: Ages of states. The young ones begin in the future, so that they stay young however long the test takes.
YOUNG, OLD = timedelta(hours=-1), timedelta(hours=1)

facts = st.fixed_dictionaries(
    {
        "organization_id": st.sampled_from(["acme", "acme", "acme", "globex"]),
        "deleted_at": st.sampled_from([None, None, None, NOW]),
        "provisioning_status": st.sampled_from(
            [ProvisioningStatus.READY] * 4 + [ProvisioningStatus.PENDING, ProvisioningStatus.FAILED]
        ),
        "desired_count": st.integers(0, 1),
        "running_count": st.integers(0, 1),
        "pending_count": st.integers(0, 1),
        "observed_at": st.sampled_from([None, NOW, NOW, NOW]),
        "link_state": st.sampled_from(
            [None, OcppState.ACCEPTED, OcppState.ACCEPTED, OcppState.ACCEPTED, OcppState.REJECTED]
        ),
        "ocpp_version": st.sampled_from([*OcppVersion]),
        "brand_slug": st.sampled_from(["abb", "wallbox"]),
        "location_id": st.sampled_from([None, "here"]),
        "placement": st.sampled_from(["dedicated", "dedicated", "shared"]),
        "host_id": st.sampled_from([None, "host-1", "host-2"]),
        "name": st.sampled_from([None, "Bay 1", "Hall"]),
        "labels": st.sampled_from([{}, {"run": "1"}, {"run": "2"}, {"run": "1", "smoke": ""}]),
        "age": st.sampled_from([YOUNG, OLD, OLD]),
        "command": st.sampled_from(["queued", "held", "applied", "succeeded"]),
    }
)


def some_of(values: Any) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(st.sampled_from([*map(str, values)]), min_size=1, max_size=3).map(tuple)


filters = st.builds(
    Filters,
    status=some_of(ProvisioningStatus),
    observed=some_of(ObservedState),
    ocpp_state=some_of(OcppState),
    ocpp_version=st.none() | some_of(OcppVersion),
    attention=st.sampled_from([None, True, True, False, False]),
    brand_slug=st.sampled_from([None, None, "abb"]),
    placement=st.sampled_from([None, None, "dedicated", "shared"]),
    location_id=st.sampled_from([None, None, "here"]),
    host_id=st.sampled_from([None, None, "host-1"]),
    identity=st.sampled_from([None, None, None, "CP-02"]),
    q=st.sampled_from([None, None, "bay", "cp-0"]),
    labels=st.sampled_from([None, None, None, "run:1", "run", "run:1,smoke", "smoke:,run"]).map(
        lambda text: text and read_labels(text)
    ),
)
sorts = st.sampled_from(
    [
        Sort(key, descending)
        for key in SortKey
        for descending in (False, True)
        if not descending or key != "attention"
    ]
)

many_fleets = hypothesis_settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True)
class Row:
    """What a plain filter and a plain sort look at."""

    charger: Charger
    command: str

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "status": self.charger.provisioning_status,
            "observed": str(observed_state(self.charger)),
            "ocpp_state": self.charger.link_state,
            "ocpp_version": self.charger.ocpp_version,
            "brand_slug": self.charger.brand_slug,
            "model_slug": self.charger.model_slug,
            "placement": self.charger.placement,
            "location_id": self.charger.location_id,
            "host_id": self.charger.host_id,
            "identity": self.charger.identity,
            "attention": self.needs_attention,
        }

    @property
    def is_odd(self) -> bool:
        """Something is wrong with it, or soon will be."""
        observed = observed_state(self.charger)
        if self.charger.provisioning_status == "FAILED" or observed in ("starting", "stopping", "unknown"):
            return True
        return observed == "running" and self.charger.link_state != "accepted"

    @property
    def needs_attention(self) -> bool:
        is_old = NOW - self.charger.observed_since > timedelta(seconds=30)
        return self.charger.provisioning_status == "FAILED" or (self.is_odd and is_old)

    def matches(self, filters: Filters) -> bool:
        for name in (field.name for field in fields(Filters) if field.name not in ("q", "labels")):
            wanted = getattr(filters, name)
            given = self.facts[name]
            if wanted is not None and not (given in wanted if isinstance(wanted, tuple) else given == wanted):
                return False
        labels = self.charger.labels
        for label in filters.labels or ():
            if label.name not in labels or label.value not in (None, labels[label.name]):
                return False
        text = f"{self.charger.identity}\n{self.charger.name or ''}".lower()
        return filters.q is None or filters.q in text

    def key(self, sort: Sort) -> Any:
        match sort.key:
            case SortKey.CREATED_AT:
                return self.charger.id
            case SortKey.IDENTITY:
                return self.charger.identity
            case SortKey.STATE_SINCE:
                return (self.charger.observed_since, self.charger.id)
            case SortKey.ATTENTION:
                return (not self.is_odd, self.charger.identity)


def stored(session: Session, all_facts: list[dict[str, Any]]) -> Iterator[Row]:
    for number, one in enumerate(all_facts):
        made = charger(one["organization_id"])
        made.identity = f"CP-{number:02}"
        made.observed_since = NOW - one["age"] - timedelta(microseconds=number)
        for name, value in one.items():
            if name not in ("age", "command"):
                setattr(made, name, value)
        command = Command(
            id=made.newest_command_id,
            charger_id=made.id,
            organization_id=made.organization_id,
            event_type=made.newest_event_type,
            generation=1,
            requested_by="ada",
            status=CommandStatus.QUEUED if one["command"] == "held" else one["command"],
            held_since=NOW if one["command"] == "held" else None,
        )
        session.add(made)
        session.flush()
        session.add(command)
        session.flush()
        yield Row(made, one["command"])


def walked(session: Session, filters: Filters, sort: Sort, limit: int) -> list[str]:
    """The ids on all pages, by cursor."""
    ids: list[str] = []
    after = None
    while True:
        page = list_chargers(
            session, organization_id="acme", filters=filters, sort=sort, limit=limit, after=after
        )
        ids += [found.id for found in page.rows]
        if page.after is None:
            return ids
        after = page.after


def expected_summary(rows: list[Row]) -> Summary:
    observed = Counter(row.facts["observed"] for row in rows)
    links = Counter(row.facts["ocpp_state"] or "none" for row in rows if row.facts["observed"] == "running")
    status = Counter(row.facts["status"] for row in rows)
    return Summary(
        total=len(rows),
        attention=sum(row.needs_attention for row in rows),
        observed={state: observed[state] for state in ObservedState},
        ocpp_state={state: links[state] for state in (*OcppState, "none")},
        status={state: status[state] for state in ProvisioningStatus},
        open_commands=sum(row.command != "succeeded" for row in rows),
        held_commands=sum(row.command == "held" for row in rows),
    )


@many_fleets
@given(all_facts=st.lists(facts, max_size=12), filters=filters, sort=sorts, limit=st.integers(1, 4))
def test_a_list_its_total_and_its_summary_have_what_a_plain_filter_leaves(
    sessions: Sessions, all_facts: list[dict[str, Any]], filters: Filters, sort: Sort, limit: int
) -> None:
    with sessions() as session:
        rows = list(stored(session, all_facts))
        live = [row for row in rows if row.charger.organization_id == "acme" and not row.charger.deleted_at]
        matching = sorted(
            (row for row in live if row.matches(filters)),
            key=lambda row: row.key(sort),
            reverse=sort.descending,
        )
        session.expire_all()

        assert walked(session, filters, sort, limit) == [row.charger.id for row in matching]
        assert count_chargers(session, organization_id="acme", filters=filters) == len(matching)
        assert summarize(session, "acme", filters) == expected_summary(matching)
        session.rollback()
