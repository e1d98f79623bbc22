"""The schema of the long poll's answer."""

from marshmallow import Schema, fields

from api.http.fleet.schemas import FleetSummary
from api.http.schemas import ChargerAnswer


class ChangesAnswer(Schema):
    """What has changed in the organization since a cursor."""

    cursor = fields.String(required=True, metadata={"description": "`after` of the next request."})
    resumed = fields.Boolean(
        required=True,
        metadata={
            "description": "All changes since `after` are here, or come with `more`. Load the list when it is false."
        },
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the API cannot go on from `after`; null when it can, and without `after`."
        },
    )
    chargers = fields.List(fields.Nested(ChargerAnswer), required=True)
    removed = fields.List(
        fields.String(), required=True, metadata={"description": "Ids of chargers that are gone."}
    )
    more = fields.Boolean(
        required=True, metadata={"description": "There is more: send the next request at once."}
    )
    summary = fields.Nested(FleetSummary, required=True)
