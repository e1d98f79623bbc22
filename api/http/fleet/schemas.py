"""The schemas of what a fleet's overview shows: numbers of chargers, the requester, and organizations."""

from collections.abc import Iterable

from marshmallow import Schema, fields

from api.http.fields.fields import Instant
from api.http.fleet.rows import doc
from shared.auth.tokens import ROLES
from shared.vocabulary import ObservedState, OcppState, ProvisioningStatus


def _numbers(name: str, states: Iterable[str]) -> type[Schema]:
    return Schema.from_dict({str(state): fields.Integer(required=True) for state in states}, name=name)


ObservedNumbers = _numbers("ObservedNumbers", ObservedState)
LinkNumbers = _numbers("LinkNumbers", [*OcppState, "none"])
StatusNumbers = _numbers("StatusNumbers", ProvisioningStatus)


class FleetSummary(Schema):
    """How many chargers match the filters, and how many of those are in each state."""

    total = fields.Integer(required=True)
    attention = fields.Integer(required=True, metadata=doc("Those with `runtime.attention`."))
    observed = fields.Nested(ObservedNumbers, required=True, metadata=doc("By `runtime.observed`."))
    ocpp_state = fields.Nested(
        LinkNumbers,
        required=True,
        metadata=doc("Those observed running, by `runtime.ocpp.state`; `none` while nothing is known."),
    )
    status = fields.Nested(StatusNumbers, required=True, metadata=doc("By `status`."))
    open_commands = fields.Integer(
        required=True, metadata=doc("Commands of these chargers that are not final.")
    )
    held_commands = fields.Integer(
        required=True, metadata=doc("Open commands that the rate budget holds back.")
    )


class Quota(Schema):
    used = fields.Integer(required=True)
    allowed = fields.Integer(required=True)


class Quotas(Schema):
    """What the organization has, and may have at most."""

    chargers = fields.Nested(Quota, required=True)
    open_commands = fields.Nested(
        Quota, required=True, metadata=doc("Commands that are not final; counted every 2 s at most.")
    )
    open_actions = fields.Nested(
        Quota, required=True, metadata=doc("Actions that are not final; counted every 2 s at most.")
    )


class Me(Schema):
    """The token of the request, and what it may use."""

    subject = fields.String(required=True)
    role = fields.String(required=True, metadata=doc(enum=ROLES))
    organization_id = fields.String(
        required=True,
        allow_none=True,
        metadata=doc("Null for an admin who names none by `X-Organization-Id`."),
    )
    expires_at = Instant(required=True, metadata=doc("When the token ceases to be valid."))
    server_time = Instant(required=True, metadata=doc("By the clock that all times of the rows are from."))
    version = fields.String(required=True)
    stale_after_s = fields.Float(
        required=True, metadata=doc("Age of an observation from which on it is stale.")
    )
    flower_url = fields.String(
        required=True, allow_none=True, metadata=doc("Where Flower shows the workers' tasks: FLOWER_URL.")
    )
    csms_url = fields.String(
        required=True, allow_none=True, metadata=doc("A CSMS for the first charger: CSMS_URL.")
    )
    quotas = fields.Nested(
        Quotas, required=True, allow_none=True, metadata=doc("Null without an organization.")
    )


class Organization(Schema):
    organization_id = fields.String(required=True)
    chargers = fields.Integer(required=True)


class OrganizationPage(Schema):
    data = fields.List(fields.Nested(Organization), required=True)
    total = fields.Integer(required=True, metadata=doc("Matches over all pages."))
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)
