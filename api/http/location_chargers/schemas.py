"""The queries and answers of the chargers of a location, and the frozen dataclasses that the queries become."""

from dataclasses import dataclass

from marshmallow import Schema, fields

from api.http.fields.fields import Query, Repeated
from api.http.jobs.schemas import ChargerIds
from api.http.queries import PageQuery, PageQuerySchema
from api.http.schemas import ListedCharger
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


class LocationChargerPage(Schema):
    data = fields.List(ListedCharger(), required=True)
    total = fields.Integer(required=True, metadata={"description": "Matches over all pages."})
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


class FailedCharger(Schema):
    charger_id = fields.String(required=True, allow_none=True)
    error = fields.String(required=True, metadata={"description": "Why nothing of it was changed."})


class DeletedChargers(Schema):
    deleted_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    deleted = fields.List(fields.String(), required=True, metadata={"description": "Their ids."})
    failed = fields.List(fields.Nested(FailedCharger), required=True)
