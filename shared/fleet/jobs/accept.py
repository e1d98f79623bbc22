"""Accept a job: the row and its items, in one statement whatever their number. Or preview it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from shared.fleet.errors import TooManyJobs
from shared.fleet.jobs.verdict import EVENT_OF, SKIPPED, VERDICT
from shared.fleet.listing import Filters, every_charger
from shared.fleet.locations.scope import get_location, lock_location
from shared.models import Charger, Job, JobItem
from shared.vocabulary import JobAction

MAX_CHARGERS = 10_000  # of a job: their ids fit into a body of 1 MiB, and accepting them takes 0.3 s
SAMPLE_SIZE = 5
MAX_BIGINT = 2**63 - 1  # newer than every job
SHOWN_IDS = 10  #: unknown ids that an error names


class InvalidSelection(Exception):
    """The chargers that a job names cannot be acted on as requested. `param` is the key of the body at fault."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Selection:
    """The chargers of a job: by ids or by filters, of all or of a location."""

    charger_ids: tuple[str, ...] | None = None  #: in the order in which they get their commands
    filters: Filters | None = None  #: all that match
    location_id: str | None = None  #: only chargers of this location, which must exist. Not with ids


@dataclass(frozen=True, slots=True)
class JobRequest:
    action: JobAction
    selection: Selection
    organization_id: str
    requested_by: str
    request_id: str | None
    expected_count: int | None = None  #: refuse the job when the selection has another number of chargers
    rate_per_second: float | None = None  #: commands per second, at most; None for no limit
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class JobReceipt:
    """An accepted job. Plain values, so it can be stored itself."""

    job_id: int
    action: str
    total: int
    provisioning_status: str | None = None  #: of a job that creates chargers, as of the receipt
    workflow_run_id: str | None = None  #: of a job that creates chargers
    replayed: bool = False  #: an earlier request with the same Idempotency-Key got this receipt

    def stored(self) -> dict[str, Any]:
        """The receipt as plain JSON."""
        return asdict(self)

    @staticmethod
    def replay(stored: Mapping[str, Any]) -> "JobReceipt":
        """The receipt that was stored, marked as replayed."""
        known = {each.name: stored[each.name] for each in fields(JobReceipt) if each.name in stored}
        return JobReceipt(**{**known, "replayed": True})


@dataclass(frozen=True, slots=True)
class JobPreview:
    """What a job would do if it were accepted now."""

    total: int
    sample: Sequence[Mapping[str, str]]  #: id and identity of the first chargers
    left_out: Mapping[str, int] = field(
        default_factory=dict
    )  #: how many would be skipped, by their `reason_code`


def accept_job(session: Session, request: JobRequest, *, max_open: int) -> JobReceipt:
    """Store the job and an item for each charger, as of now: one that comes later is not part of it.

    Needs a transaction, which the caller must roll back after InvalidSelection. Raises LocationNotFound, and TooManyJobs
    when the organization has `max_open` jobs that are not final.
    """
    location_id = request.selection.location_id
    if location_id is not None:
        lock_location(session, organization_id=request.organization_id, location_id=location_id)
    check_open_jobs(session, request.organization_id, max_open)
    accepted = store_job(
        session,
        _chosen(request),
        organization_id=request.organization_id,
        action=request.action.value,
        rate_per_second=request.rate_per_second,
        requested_by=request.requested_by,
        request_id=request.request_id,
        retry_of=request.retry_of,
        location_id=location_id,
    )
    _check(session, request, accepted.total)
    return JobReceipt(accepted.id, request.action.value, accepted.total)


class StoredJob(NamedTuple):
    """A job that was just stored."""

    id: int
    total: int


def store_job(session: Session, items: Select[Any], **values: Any) -> StoredJob:
    """Store a job with these values, and an item for each row: id, identity, generation, position, and input if there is one."""
    chosen = items.cte("chosen")
    number = select(func.count()).select_from(chosen).scalar_subquery()
    columns = Job.__table__.c
    job = (
        insert(Job.__table__)  # type: ignore[arg-type]  # a Table
        .from_select(
            [*values, "total", "waiting"],
            select(
                *(
                    cast(literal(value, columns[name].type), columns[name].type)
                    for name, value in values.items()
                ),
                number,
                number,
            ),
        )
        .returning(columns.id, columns.total)
        .cte("job")
    )
    of_items = {
        "job_id": job.c.id,
        "position": chosen.c.position,
        "charger_id": chosen.c.id,
        "identity": chosen.c.identity,
        "generation": chosen.c.generation,
    }
    if "input" in chosen.c:
        of_items["input"] = chosen.c.input
    stored = (
        insert(JobItem.__table__)  # type: ignore[arg-type]
        .from_select([*of_items], select(*of_items.values()).select_from(chosen.join(job, true())))
        .cte("items")
    )
    return StoredJob(*session.execute(select(job.c.id, job.c.total).add_cte(stored)).one())


def preview_job(session: Session, request: JobRequest) -> JobPreview:
    """What the job would act on, and what it would leave out and why. Changes nothing.

    Raises InvalidSelection, LocationNotFound.
    """
    if (location_id := request.selection.location_id) is not None:
        get_location(session, organization_id=request.organization_id, location_id=location_id)
    chosen = session.execute(_chosen(request)).all()
    _check(session, request, len(chosen), may_be_empty=True)
    verdicts = session.execute(
        _PREVIEW,
        {
            "charger_ids": [row.id for row in chosen],
            "event_type": EVENT_OF[request.action].value,
            "newest_job": MAX_BIGINT,
        },
    ).all()
    return JobPreview(
        total=len(chosen),
        sample=[{"id": row.id, "identity": row.identity} for row in chosen[:SAMPLE_SIZE]],
        left_out={verdict: number for verdict, number in verdicts if verdict in SKIPPED},
    )


_PREVIEW = text(f"""
SELECT verdict, count(*) FROM (
    SELECT {VERDICT} AS verdict
    FROM chargers
    CROSS JOIN LATERAL (SELECT chargers.generation, CAST(:newest_job AS bigint) AS job_id) AS items
    LEFT JOIN commands AS newest ON newest.id = chargers.newest_command_id
    WHERE chargers.id = ANY (CAST(:charger_ids AS text[]))
) AS judged GROUP BY verdict ORDER BY count(*) DESC
""")  # noqa: S608  # our own constant


def _chosen(request: JobRequest) -> Select[Any]:
    """The chargers in their order, one more than allowed if there are so many: id, identity, generation and position."""
    filters = request.selection.filters
    if request.selection.location_id is not None:
        filters = replace(filters or Filters(), location_id=request.selection.location_id)
    if filters is not None:
        return in_order(every_charger(request.organization_id, filters).limit(MAX_CHARGERS + 1))
    ids = dict.fromkeys(request.selection.charger_ids or ())  # a charger that is named twice has one item
    named = (
        func.unnest(bindparam("charger_ids", list(ids), type_=ARRAY(Text)))
        .table_valued(column("id", Text), with_ordinality="position")
        .render_derived("named")
    )
    charger = Charger.__table__.c
    return (
        select(
            charger.id,
            charger.identity,
            charger.generation,
            cast(named.c.position, Integer).label("position"),
        )
        .join_from(named, Charger.__table__, charger.id == named.c.id)
        .where(charger.organization_id == request.organization_id, charger.deleted_at.is_(None))
        .order_by(named.c.position)
    )


def in_order(chargers: Select[Any]) -> Select[Any]:
    """The chargers that `every_charger` selects, with their positions from 1."""
    every = chargers.subquery("every")
    position = func.row_number().over(order_by=every.c.id).label("position")
    return select(every.c.id, every.c.identity, every.c.generation, position).order_by(every.c.id)


def check_open_jobs(session: Session, organization_id: str, max_open: int) -> None:
    """Raise TooManyJobs. Jobs that are accepted at the same time may exceed the quota together."""
    is_open = select(Job.id).where(Job.organization_id == organization_id, Job.finished_at.is_(None))
    number = session.scalar(select(func.count()).select_from(is_open.limit(max_open).subquery())) or 0
    if number >= max_open:
        raise TooManyJobs(max_open)


def _check(session: Session, request: JobRequest, total: int, *, may_be_empty: bool = False) -> None:
    """Raise InvalidSelection for unknown ids, too many chargers, another number than expected, or none."""
    ids = set(request.selection.charger_ids or ())
    if request.selection.charger_ids is not None and total < len(ids):
        known = set(session.scalars(_chosen(request).with_only_columns(Charger.id)))
        raise InvalidSelection(_not_found(sorted(ids - known)), "charger_ids")
    if total > MAX_CHARGERS:
        raise InvalidSelection(
            f"More than {MAX_CHARGERS} chargers match: narrow the filters, or send several requests",
            _param(request.selection),
        )
    if request.expected_count is not None and request.expected_count != total:
        raise InvalidSelection(
            f"The selection has {total} chargers now, not {request.expected_count}: nothing was changed",
            "expected_count",
        )
    if total == 0 and not may_be_empty:
        raise InvalidSelection("No charger matches: nothing was changed", _param(request.selection))


def _param(selection: Selection) -> str:
    """Where the request says which chargers."""
    if selection.location_id is not None and selection.filters is None:
        return "location_id"
    return "filters" if selection.charger_ids is None else "charger_ids"


def _not_found(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:SHOWN_IDS])
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return f"Chargers not found: {shown}{more}. Nothing was changed"
