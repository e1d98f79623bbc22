"""What requests for jobs contain, and the frozen dataclasses that they become."""

import re
from copy import deepcopy
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import Any

from marshmallow import ValidationError, fields, missing, post_load, pre_load, validates_schema

from api.http.fields.fields import Body, Choices, Problem, Text
from api.http.fields.json_fields import Array, Boolean, Integer, Nested, Number
from api.http.queries import ListQuerySchema, PageQuery, PageQuerySchema
from shared.fleet.jobs.accept import MAX_CHARGERS, Selection
from shared.fleet.listing import Filters
from shared.vocabulary import ItemResult, JobAction, JobStatus

#: Of a request for a job: MAX_CHARGERS ids, each with its quotes, comma and some space.
MAX_JOB_BODY_BYTES = 1024 * 1024
MAX_RATE = 1_000

_CHARGER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ONE_OF_BOTH = Problem(
    "Give either 'charger_ids' or 'filters'; {} as filters for all chargers", "value_error"
)


class ChargerIds(Array):
    """The ids of chargers. Checked in one pass: ten thousand fields would take a tenth of a second."""

    def __init__(self, *, max_ids: int = MAX_CHARGERS, **kwargs: Any) -> None:
        super().__init__(
            fields.String(metadata={"pattern": f"^{_CHARGER_ID.pattern}$"}),
            min_length=1,
            max_length=max_ids,
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and len(value) <= MAX_CHARGERS:
            for position, charger_id in enumerate(value):
                if not isinstance(charger_id, str) or not _CHARGER_ID.fullmatch(charger_id):
                    problem = Problem("Input should be the id of a charger", "string_pattern_mismatch")
                    raise ValidationError({position: [problem]})
        return super()._deserialize(value, attr, data, **kwargs)


_LIST_FIELDS = ListQuerySchema().load_fields


class _JobFilters(Body):
    """The filters of a list, with the same values: several by comma."""

    @pre_load
    def _spell_booleans(self, data: Any, **_: Any) -> Any:
        """A query has text only; a body may say true or false."""
        if not isinstance(data, dict):
            return data
        return {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in data.items()
        }

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Filters:
        return Filters(**data)


def _filter_of(name: str) -> Any:
    """The list's field, absent unless given. null is an error: who sends it may believe that it filters."""
    field = deepcopy(_LIST_FIELDS[name])
    field.allow_none = False
    field.load_default = missing
    return field


def _filters(name: str, *without: str) -> Any:
    names = {field.name for field in fields_of(Filters)} - {*without}
    return type(
        name,
        (_JobFilters,),
        {one: _filter_of(one) for one in sorted(names)} | {"__doc__": _JobFilters.__doc__},
    )


JobFilters: Any = _filters("JobFilters")
LocationJobFilters: Any = _filters("LocationJobFilters", "location_id")


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a client chooses about a new job."""

    selection: Selection
    expected_count: int | None
    rate_per_second: float | None
    dry_run: bool


class CreateLocationJob(Body):
    """What a job of a location may be given: its chargers are in the path."""

    optional = True

    filters = Nested(
        LocationJobFilters,
        metadata={"description": "Only those of its chargers that the list shows with these filters."},
    )
    expected_count = Integer(
        minimum=0,
        maximum=MAX_CHARGERS,
        metadata={"description": "A 422, and no job, when the request has another number of chargers."},
    )
    rate_per_second = Number(
        minimum=0.01,
        maximum=MAX_RATE,
        metadata={"description": "A ramp: so many commands per second, at most. No limit unless given."},
    )
    dry_run = Boolean(
        metadata={"description": "Answers what the job would act on, and stores nothing.", "default": False}
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> NewJob:
        return NewJob(
            selection=self._selection(data),
            expected_count=data.get("expected_count"),
            rate_per_second=data.get("rate_per_second"),
            dry_run=data.get("dry_run", False),
        )

    def _selection(self, data: dict[str, Any]) -> Selection:
        return Selection(filters=data.get("filters"))


class CreateJob(CreateLocationJob):
    """The chargers are named by their ids or by filters."""

    optional = False

    charger_ids = ChargerIds(
        metadata={"description": "The chargers, in the order in which they get their commands."}
    )
    filters = Nested(
        JobFilters,
        metadata={
            "description": "Instead of ids: all chargers that the list shows with these filters; `{}` for all. The set is "
            "fixed when the job is accepted."
        },
    )

    @validates_schema
    def _check_one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        if ("charger_ids" in data) == ("filters" in data):
            raise ValidationError(_ONE_OF_BOTH, "charger_ids")

    def _selection(self, data: dict[str, Any]) -> Selection:
        ids = data.get("charger_ids")
        return Selection(None if ids is None else tuple(ids), data.get("filters"))


@dataclass(frozen=True, slots=True)
class JobListQuery(PageQuery):
    status: tuple[str, ...] | None
    action: tuple[str, ...] | None
    location_id: str | None


class JobListQuerySchema(PageQuerySchema):
    record = JobListQuery

    status = Choices(
        JobStatus,
        load_default=None,
        metadata={"description": "Several by comma.", "example": "running,paused"},
    )
    action = Choices(
        JobAction, load_default=None, metadata={"description": "Several by comma.", "example": "stop"}
    )
    location_id = Text(
        min_length=1,
        max_length=128,
        load_default=None,
        metadata={"description": "Only jobs that began at this location, which may be deleted."},
    )


@dataclass(frozen=True, slots=True)
class ItemsQuery(PageQuery):
    result: tuple[str, ...] | None


class ItemsQuerySchema(PageQuerySchema):
    record = ItemsQuery

    result = Choices(
        ItemResult,
        load_default=None,
        metadata={"description": "Several by comma.", "example": "failed,skipped"},
    )
