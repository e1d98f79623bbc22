"""The query and the answer of the gallery of location templates."""

from dataclasses import dataclass

from marshmallow import Schema, fields

from api.http.document.examples import Examples
from api.http.fields.fields import Choice, Query
from shared.fleet.locations.templates import ParkingType, TemplateType
from shared.vocabulary import OcppVersion


@dataclass(frozen=True, slots=True)
class TemplateQuery:
    type: TemplateType | None = None
    ocpp_version: OcppVersion | None = None


class TemplateQuerySchema(Query):
    record = TemplateQuery

    type = Choice(
        TemplateType,
        metadata={"description": "The power family, which follows from the connectors."},
    )
    ocpp_version = Choice(
        OcppVersion,
        metadata={
            "description": "Templates of that version. One whose chargers have both versions matches either."
        },
    )


class ChargerGroupAnswer(Schema):
    brand_slug = fields.String(required=True, metadata={"description": "From the catalog."})
    model_slug = fields.String(required=True)
    connector_type = fields.String(required=True)
    ocpp_version = fields.String(required=True, metadata={"enum": [*OcppVersion]})
    count = fields.Integer(required=True, metadata={"description": "Chargers."})
    nominal_kw = fields.Float(required=True, metadata={"description": "kW per charger."})


class TemplateAnswer(Schema):
    slug = fields.String(required=True)
    name = fields.String(required=True)
    type = fields.String(required=True, metadata={"enum": [*TemplateType]})
    description = fields.String(required=True)
    country = fields.String(required=True, metadata={"description": "ISO 3166-1 alpha-2."})
    parking_type = fields.String(required=True, metadata={"enum": [*ParkingType]})
    ocpp_version = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of all its chargers; null when they differ.", "enum": [*OcppVersion, None]},
    )
    chargers = fields.List(fields.Nested(ChargerGroupAnswer), required=True)


class TemplateList(Schema):
    data = fields.List(fields.Nested(TemplateAnswer), required=True)
    total = fields.Integer(required=True)


EXAMPLE = Examples(
    {
        "data": [
            {
                "slug": "urban-ac-hub",
                "name": "Urban AC hub",
                "type": "AC",
                "description": "Four wall boxes at the kerb of a city street.",
                "country": "FR",
                "parking_type": "ON_STREET",
                "ocpp_version": "OCPP1.6",
                "chargers": [
                    {
                        "brand_slug": "wallbox",
                        "model_slug": "wallbox-pulsar-plus",
                        "connector_type": "Type2",
                        "ocpp_version": "OCPP1.6",
                        "count": 4,
                        "nominal_kw": 22,
                    }
                ],
            }
        ],
        "total": 1,
    }
)
