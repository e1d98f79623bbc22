"""The queries, bodies and answers of the chargers of a location, and the frozen dataclasses that they become."""

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields, post_load

from api.http.fields.fields import Body, Query, Repeated, Text
from api.http.fields.json_fields import Array, Nested
from api.http.jobs.schemas import ChargerIds
from api.http.queries import PageQuery, PageQuerySchema
from api.http.schemas import ListedCharger, UpdateCharger
from shared.fleet.chargers import ChargerChanges
from shared.fleet.locations.chargers import MAX_NAMED


class RepeatedIds(ChargerIds, Repeated):
    """The ids of chargers, each a parameter of its own."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(max_ids=MAX_NAMED, **kwargs)


@dataclass(frozen=True, slots=True)
class LocationChargersQuery(PageQuery):
    charger_ids: list[str] | None = None


class LocationChargersQuerySchema(PageQuerySchema):
    record = LocationChargersQuery

    charger_ids = RepeatedIds(
        metadata={"description": "Only these chargers. An id that no charger of the location has is a 400."}
    )


@dataclass(frozen=True, slots=True)
class NamedChargersQuery:
    charger_ids: list[str]


class NamedChargersQuerySchema(Query):
    record = NamedChargersQuery

    charger_ids = RepeatedIds(required=True, metadata={"description": "The chargers to delete."})


@dataclass(frozen=True, slots=True)
class NamedChanges:
    charger_id: str
    changes: ChargerChanges


class UpdateLocationCharger(UpdateCharger):
    """An item of an update. An absent field keeps its value; null clears a name, a location, the labels or the time to live."""

    charger_id = Text(
        min_length=1, max_length=64, required=True, metadata={"description": "Of the charger to change."}
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **more: Any) -> Any:
        charger_id = data.pop("charger_id")
        return NamedChanges(charger_id, super()._make_record(data, **more))


class UpdateLocationChargers(Body):
    chargers = Array(
        Nested(UpdateLocationCharger),
        min_length=1,
        max_length=MAX_NAMED,
        required=True,
        metadata={"description": "What to change of each charger."},
    )


class LocationChargerPage(Schema):
    data = fields.List(ListedCharger(), required=True)
    total = fields.Integer(required=True, metadata={"description": "Matches over all pages."})
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


class FailedCharger(Schema):
    charger_id = fields.String(required=True, allow_none=True)
    error = fields.String(required=True, metadata={"description": "Why nothing of it was changed."})


class UpdatedChargers(Schema):
    updated_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    updated = fields.List(ListedCharger(), required=True, metadata={"description": "After the change."})
    failed = fields.List(fields.Nested(FailedCharger), required=True)


class DeletedChargers(Schema):
    deleted_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    deleted = fields.List(fields.String(), required=True, metadata={"description": "Their ids."})
    failed = fields.List(fields.Nested(FailedCharger), required=True)
