"""Accept a job that creates the chargers of a location: which ones is decided now, and workers insert them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Integer, Select, Text, bindparam, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.fleet.creation import Entry, ModelKey, columns_of, entry_of, read_catalog
from shared.fleet.errors import InvalidCharger, JobNotFound, LocationNotFound, NothingToRetry
from shared.fleet.jobs.accept import JobReceipt, check_open_jobs, store_job
from shared.fleet.locations.scope import own_location
from shared.fleet.specification.settings import Stored, changed, check_together
from shared.ids import new_charger_id, new_run_id
from shared.models import Job, JobItem, Location
from shared.sealing import Sealer
from shared.vocabulary import ItemResult, JobAction, JobStatus, OcppVersion, Placement, ProvisioningStatus

RANDOM_BYTES = 4  # of a random suffix: 8 hex digits

#: Why a charger of a job was not created: a sentence for each `reason_code`, beside those of commands.
NOT_CREATED: Mapping[str, str] = {
    "identity_taken": "Identity already exists",
    "quota_full": "The organization has as many chargers as it may have",
    "location_deleted": "The location was deleted before the charger was created",
}


@dataclass(frozen=True, slots=True)
class Template:
    """What the chargers of a group have in common."""

    brand_slug: str
    model_slug: str
    connector_type: str
    ws_url: str
    ocpp_version: str = OcppVersion.V16.value
    location_name: str | None = None  #: the location's own unless given
    identity_prefix: str = ""  #: before each suffix
    template_name: str | None = None  #: a name is this, a space and the suffix; None for no names
    labels: Mapping[str, str] = field(default_factory=dict)
    ttl_seconds: int | None = None  #: after which each is deleted; None for never
    placement: str = Placement.DEDICATED.value
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)  #: has secrets

    @property
    def key(self) -> ModelKey:
        return (self.brand_slug, self.model_slug)

    def identity(self, suffix: str) -> str:
        return self.identity_prefix + suffix

    def name(self, suffix: str) -> str | None:
        return None if self.template_name is None else f"{self.template_name} {suffix}"


@dataclass(frozen=True, slots=True)
class Group:
    """Chargers that are alike."""

    template: Template
    suffixes: tuple[str, ...] = ()  #: of their identities; a list that is longer than the number is cut
    number: int | None = None  #: of chargers; None for as many as there are suffixes

    @property
    def size(self) -> int:
        return len(self.suffixes) if self.number is None else self.number


@dataclass(frozen=True, slots=True)
class CreateManyRequest:
    location_id: str
    groups: tuple[Group, ...]
    body_digests: tuple[
        bytes, ...
    ]  #: of what the client sent: the first is stored, and a repeat may have any
    organization_id: str
    requested_by: str
    request_id: str | None
    rate_per_second: float | None = None  #: chargers per second, at most; None for no limit
    ttl_seconds: int | None = None  #: of the templates that have none


@dataclass(frozen=True, slots=True)
class CreateAgainRequest:
    """Create what another job could not."""

    job_id: int
    organization_id: str
    requested_by: str
    request_id: str | None


class InvalidGroup(Exception):
    """A template that breaks a rule. `group` is its place among the groups, `param` the key at fault."""

    def __init__(self, message: str, group: int, param: str | None) -> None:
        super().__init__(message)
        self.group = group
        self.param = param


class _Item(NamedTuple):
    """A charger to be created."""

    charger_id: str
    identity: str
    group: int
    name: str | None
    instead_of: str | None = None  #: the charger that it replaces


def accept_creation(
    session: Session, request: CreateManyRequest, *, max_open: int, sealer: Sealer
) -> JobReceipt:
    """Store the job, and an item for each charger with its id and identity. Needs a transaction.

    Safe to repeat while the job is neither final nor cancelled: an equal request returns the same job, because the SDK repeats
    a POST whose answer it lost (contract 12.3). Raises LocationNotFound, InvalidGroup, NoKeys and TooManyJobs.
    """
    location = _lock(session, request.organization_id, request.location_id)
    same = _same_open_job(session, request)
    if same is not None:
        return receipt_of(same)
    check_open_jobs(session, request.organization_id, max_open)
    shared_input = {
        "workflow_run_id": new_run_id(),
        "body_digest": request.body_digests[0].hex(),
        "ttl_seconds": request.ttl_seconds,
        "groups": _stored_groups(session, request.groups, location.name, sealer),
    }
    return _store(
        session,
        _items(list(_expanded(request.groups))),
        shared_input,
        organization_id=request.organization_id,
        rate_per_second=request.rate_per_second,
        requested_by=request.requested_by,
        request_id=request.request_id,
        location_id=request.location_id,
        retry_of=None,
    )


def accept_again(session: Session, request: CreateAgainRequest, *, max_open: int) -> JobReceipt:
    """Store a job that creates what failed in another: the same identities with new ids. Needs a transaction.

    A charger of that job whose provisioning failed is deleted first. Raises JobNotFound, NothingToRetry, LocationNotFound
    and TooManyJobs.
    """
    own = (Job.id == request.job_id, Job.organization_id == request.organization_id)
    job = session.scalars(select(Job).where(*own)).one_or_none()
    if job is None or job.location_id is None or job.input is None:
        raise JobNotFound(request.job_id)
    _lock(session, request.organization_id, job.location_id)
    check_open_jobs(session, request.organization_id, max_open)
    failed = session.execute(
        select(JobItem.charger_id, JobItem.identity, JobItem.input)
        .where(JobItem.job_id == job.id, JobItem.result == ItemResult.FAILED)
        .order_by(JobItem.position)
    ).all()
    if not failed:
        raise NothingToRetry(request.job_id, "failed item")
    items = [
        _Item(new_charger_id(), row.identity, row.input["group"], row.input.get("name"), row.charger_id)
        for row in failed
    ]
    return _store(
        session,
        _items(items),
        job.input | {"workflow_run_id": new_run_id(), "body_digest": None},
        organization_id=request.organization_id,
        rate_per_second=job.rate_per_second,
        requested_by=request.requested_by,
        request_id=request.request_id,
        location_id=job.location_id,
        retry_of=job.id,
    )


def receipt_of(job: Job) -> JobReceipt:
    """The receipt of a job that creates chargers, as it stands."""
    return JobReceipt(
        job.id,
        job.action,
        job.total,
        provisioning_status=provisioning_of(job),
        workflow_run_id=(job.input or {}).get("workflow_run_id"),
    )


def provisioning_of(job: Job) -> ProvisioningStatus:
    """How far the job is, in the contract's words: READY when every item is final, whatever became of it."""
    if job.finished_at is not None:
        return ProvisioningStatus.READY
    return ProvisioningStatus.PENDING if job.waiting == job.total else ProvisioningStatus.PROVISIONING


def _lock(session: Session, organization_id: str, location_id: str) -> Location:
    """The location's row. Others may put chargers into it meanwhile, but another such job waits, as does a deletion."""
    query = own_location(organization_id, location_id).with_for_update(key_share=True)
    location = session.scalars(query).one_or_none()
    if location is None:
        raise LocationNotFound(location_id)
    return location


def _same_open_job(session: Session, request: CreateManyRequest) -> Job | None:
    digests = [digest.hex() for digest in request.body_digests]
    return session.scalars(
        select(Job)
        .where(
            Job.organization_id == request.organization_id,
            Job.finished_at.is_(None),
            Job.status != JobStatus.CANCELLED,
            Job.action == JobAction.CREATE,
            Job.location_id == request.location_id,
            Job.input["body_digest"].astext.in_(digests),
        )
        .order_by(Job.id)
        .limit(1)
    ).one_or_none()


def _stored_groups(
    session: Session, groups: Sequence[Group], location_name: str | None, sealer: Sealer
) -> list[dict[str, Any]]:
    """Raises InvalidGroup, NoKeys."""
    catalog = read_catalog(session, {group.template.key for group in groups})
    stored = []
    for number, group in enumerate(groups):
        try:
            stored.append(_stored_group(catalog, group.template, location_name, sealer))
        except InvalidCharger as error:
            raise InvalidGroup(str(error), number, error.param) from error
    return stored


def _stored_group(
    catalog: Mapping[ModelKey, Entry],
    template: Template,
    location_name: str | None,
    sealer: Sealer,
) -> dict[str, Any]:
    """What a worker inserts for each charger of the group, with the secrets sealed. Raises InvalidCharger, NoKeys."""
    entry = entry_of(catalog, template.key, template.connector_type)
    stored = changed(Stored(), template.settings, sealer)
    check_together(stored, template.ws_url)
    return {
        "columns": {
            "brand_slug": template.brand_slug,
            "model_slug": template.model_slug,
            "connector_type": template.connector_type,
            "ws_url": template.ws_url,
            "ocpp_version": template.ocpp_version,
            "location_name": location_name if template.location_name is None else template.location_name,
            "labels": dict(template.labels),
            **columns_of(entry, stored),
        },
        "ttl_seconds": template.ttl_seconds,
        "placement": template.placement,
        "settings": stored.settings,
        "sealed": stored.sealed,
    }


def _expanded(groups: Sequence[Group]) -> Iterator[_Item]:
    """The chargers of all groups, in their order (contract 6.2)."""
    taken: set[str] = set()
    for number, group in enumerate(groups):
        template = group.template
        for place in range(group.size):
            listed = place < len(group.suffixes)
            suffix = group.suffixes[place] if listed else _random_suffix(template, taken)
            identity = template.identity(suffix)
            taken.add(identity)
            yield _Item(new_charger_id(), identity, number, template.name(suffix))


def _random_suffix(template: Template, taken: set[str]) -> str:
    while True:
        suffix = token_hex(RANDOM_BYTES)
        if template.identity(suffix) not in taken:
            return suffix


def _items(items: Sequence[_Item]) -> Select[Any]:
    """The rows of the items, for store_job. JSON is made by PostgreSQL: quoting it in an array takes as long as storing it."""
    given = (
        func.unnest(
            bindparam("charger_ids", [item.charger_id for item in items], type_=ARRAY(Text)),
            bindparam("identities", [item.identity for item in items], type_=ARRAY(Text)),
            bindparam("groups", [item.group for item in items], type_=ARRAY(Integer)),
            bindparam("names", [item.name for item in items], type_=ARRAY(Text)),
            bindparam("instead_of", [item.instead_of for item in items], type_=ARRAY(Text)),
        )
        .table_valued(
            *(column(name, Text) for name in ("id", "identity")),
            column("group", Integer),
            *(column(name, Text) for name in ("name", "instead_of")),
            with_ordinality="position",
        )
        .render_derived("given")
    )
    own = [part for name in ("group", "name", "instead_of") for part in (name, given.c[name])]
    return select(
        given.c.id,
        given.c.identity,
        literal(0).label("generation"),
        cast(given.c.position, Integer).label("position"),
        func.jsonb_strip_nulls(func.jsonb_build_object(*own), type_=JSONB).label("input"),
    )


def _store(session: Session, items: Select[Any], shared_input: dict[str, Any], **values: Any) -> JobReceipt:
    action = JobAction.CREATE.value
    accepted = store_job(session, items, action=action, input=shared_input, **values)
    return JobReceipt(
        accepted.id,
        action,
        accepted.total,
        provisioning_status=ProvisioningStatus.PENDING,
        workflow_run_id=shared_input["workflow_run_id"],
    )
