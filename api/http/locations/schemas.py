"""The bodies of requests for locations, and their answer: field for field the contract's; what is beyond it says so."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from api.http.fields.fields import (
    REQUIRED,
    Body,
    Choice,
    Identity,
    Instant,
    Metadata,
    Problem,
    Text,
    WsUrl,
    documented,
)
from api.http.fields.json_fields import Boolean, Nested, Number
from api.http.fields.label_fields import LabelFilter, Labels, TtlSeconds
from api.http.fields.placement_field import ChargerPlacement, default_placement
from api.http.fleet.schemas import LinkNumbers, ObservedNumbers, StatusNumbers
from api.http.queries import PageQuery, PageQuerySchema
from shared.fleet.labels import Label
from shared.fleet.locations.change import NewLocation
from shared.fleet.locations.from_template import SUFFIX_LENGTH, NewChargers
from shared.fleet.locations.places import country_codes, time_zones
from shared.fleet.locations.templates import get_template, load_templates
from shared.vocabulary import ObservedState, OcppState

MAX_NAME = 255
MAX_PREFIX = 48 - SUFFIX_LENGTH  # an identity has 48 characters at most

_WITHOUT_TEMPLATE = Problem("This needs a 'template_slug'", "value_error")
_NOT_A_PREFIX = Problem(
    "The prefix and a number should be an identity: letters, digits and *-_=:+|@. and spaces between them",
    "string_pattern_mismatch",
)


class OneOfMany(Text):
    """One of so many values that an error does not list them. Upper and lower case differ."""

    def __init__(self, values: Iterable[str], *, what: str, **kwargs: Any) -> None:
        self._values = frozenset(values)
        self._what = what
        super().__init__(max_length=64, **kwargs)
        null = [None] if kwargs.get("allow_none") else []
        self.metadata = {"enum": [*sorted(self._values), *null], **kwargs.get("metadata", {})}

    def _checked(self, value: str) -> str:
        if value not in self._values:
            raise ValidationError(Problem(f"Input should be {self._what}", "literal_error"))
        return value


class Slug(Text):
    PATTERN = re.compile(r"[A-Za-z0-9._-]{1,100}")

    def __init__(self, *, metadata: Metadata, **kwargs: Any) -> None:
        super().__init__(
            min_length=1, max_length=100, metadata={"pattern": documented(self.PATTERN), **metadata}, **kwargs
        )

    def _checked(self, value: str) -> str:
        if not self.PATTERN.fullmatch(value):
            message = "Slug should have only letters, digits, dots, hyphens and underscores"
            raise ValidationError(Problem(message, "string_pattern_mismatch"))
        return value


def _country(**kwargs: Any) -> OneOfMany:
    what = "a country code of ISO 3166-1 alpha-2, in capitals"
    return OneOfMany(country_codes(), what=what, metadata={"description": "ISO 3166-1 alpha-2."}, **kwargs)


def _timezone() -> OneOfMany:
    return OneOfMany(
        time_zones(),
        what="the name of a time zone, such as Europe/Paris",
        allow_none=True,
        metadata={"description": "An IANA name."},
    )


def _ttl_seconds() -> TtlSeconds:
    what = "After that, from now on, it is deleted with its chargers; null for never. Beyond the contract."
    return TtlSeconds(metadata={"description": what})


class CoordinatesBody(Body):
    latitude = Number(minimum=-90, maximum=90, required=True, metadata={"description": "Decimal degrees."})
    longitude = Number(minimum=-180, maximum=180, required=True, metadata={"description": "Decimal degrees."})


class Name(Text):
    """A location's name: not spaces alone, which no list would show."""

    PATTERN = re.compile(r" *[^ \x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*")

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        bounds = {"pattern": documented(self.PATTERN)}
        super().__init__(min_length=1, max_length=MAX_NAME, metadata={**bounds, **metadata}, **kwargs)

    def _checked(self, value: str) -> str:
        if not self.PATTERN.fullmatch(value):
            raise ValidationError(Problem("Name should have more than spaces", "string_pattern_mismatch"))
        return value


class CreateLocation(Body):
    name = Name(
        required=True,
        metadata={"description": "The slug is made of it, with 8 random hex digits."},
    )
    address = Text(max_length=MAX_NAME, required=True)
    city = Text(max_length=MAX_NAME, required=True)
    country = _country(required=True)
    coordinates = Nested(CoordinatesBody, required=True)
    timezone = _timezone()
    owner_name = Text(max_length=MAX_NAME, allow_none=True)
    public = Boolean(allow_none=True, metadata={"description": "true unless given."})
    labels = Labels(metadata={"description": "Names with values, to find it by. Beyond the contract."})
    ttl_seconds = _ttl_seconds()
    template_slug = Choice(
        (template.slug for template in load_templates()),
        metadata={
            "description": "The location gets the chargers of this location template, and they its labels. Beyond the contract."
        },
    )
    ws_url = WsUrl(metadata={"description": "The CSMS of the template's chargers. Beyond the contract."})
    identity_prefix = Text(
        max_length=MAX_PREFIX,
        metadata={
            "description": "The identities of the template's chargers are this and a number: 001, 002 ... Without it they "
            "begin with the end of the slug. Beyond the contract."
        },
    )
    placement = ChargerPlacement(
        metadata={
            "description": "Of the template's chargers: `dedicated` or `shared`; `DEFAULT_PLACEMENT` unless given. "
            "Beyond the contract."
        }
    )

    @validates_schema
    def _check_chargers(self, data: dict[str, Any], **_: Any) -> None:
        if "template_slug" not in data:
            extra = [name for name in ("ws_url", "identity_prefix", "placement") if name in data]
            if extra:
                raise ValidationError({name: [_WITHOUT_TEMPLATE] for name in extra})
            return
        if "ws_url" not in data:
            raise ValidationError({"ws_url": [REQUIRED]})
        if not Identity.fits(data.get("identity_prefix", "") + SUFFIX_LENGTH * "0"):
            raise ValidationError({"identity_prefix": [_NOT_A_PREFIX]})

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> "CreatedLocation":
        public = data.pop("public", None)
        slug, ws_url = data.pop("template_slug", None), data.pop("ws_url", None)
        prefix, placement = data.pop("identity_prefix", None), data.pop("placement", None)
        location = NewLocation(**data, public=True if public is None else public)
        if slug is None:
            return CreatedLocation(location, None)
        chargers = NewChargers(get_template(slug), ws_url, prefix, placement or default_placement())
        return CreatedLocation(location, chargers)


class CreatedLocation(NamedTuple):
    """What a client requests."""

    location: NewLocation
    chargers: NewChargers | None


class UpdateLocation(Body):
    """An absent field keeps its value; null clears it."""

    slug = Slug(
        allow_none=True,
        metadata={"description": "Unique per organization. It does not follow a new name."},
    )
    name = Name(allow_none=True)
    address = Text(max_length=MAX_NAME, allow_none=True)
    city = Text(max_length=MAX_NAME, allow_none=True)
    country = _country(allow_none=True)
    coordinates = Nested(CoordinatesBody, allow_none=True)
    timezone = _timezone()
    owner_name = Text(max_length=MAX_NAME, allow_none=True)
    public = Boolean(allow_none=True)
    status = Text(max_length=MAX_NAME, allow_none=True, metadata={"description": "Any text."})
    labels = Labels(
        metadata={"description": "Instead of all that it has; null removes them. Beyond the contract."}
    )
    ttl_seconds = _ttl_seconds()


class Coordinates(Schema):
    latitude = fields.Float(required=True)
    longitude = fields.Float(required=True)


class ChargersAt(Schema):
    """How many chargers the location has, and how many of those are in each state."""

    total = fields.Integer(required=True)
    observed = fields.Nested(
        ObservedNumbers, required=True, metadata={"description": "By `runtime.observed`."}
    )
    ocpp_state = fields.Nested(
        LinkNumbers,
        required=True,
        metadata={
            "description": "Those observed running, by `runtime.ocpp.state`; `none` while nothing is known."
        },
    )
    status = fields.Nested(StatusNumbers, required=True, metadata={"description": "By `status`."})


class LocationAnswer(Schema):
    id = fields.String(required=True)
    slug = fields.String(allow_none=True)
    name = fields.String(allow_none=True)
    address = fields.String(allow_none=True)
    city = fields.String(allow_none=True)
    country = fields.String(allow_none=True)
    coordinates = fields.Nested(Coordinates, allow_none=True)
    timezone = fields.String(allow_none=True)
    owner_name = fields.String(allow_none=True)
    public = fields.Boolean(allow_none=True)
    status = fields.String(allow_none=True)
    created_at = Instant(allow_none=True)
    updated_at = Instant(allow_none=True)
    labels = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Beyond the contract."},
    )
    expires_at = Instant(
        required=True,
        allow_none=True,
        metadata={
            "description": "It is deleted with its chargers then; null for never. Beyond the contract."
        },
    )
    chargers = fields.Nested(ChargersAt, required=True, metadata={"description": "Beyond the contract."})


class LocationCreated(LocationAnswer):
    job_id = fields.String(
        metadata={
            "description": "With `template_slug`: the job that creates the chargers. Beyond the contract."
        }
    )
    status_url = fields.String(
        metadata={"description": "With `template_slug`: the job's path. Beyond the contract."}
    )


class WaitForShare(Body):
    optional = True

    share = Number(
        minimum=0,
        maximum=1,
        load_default=1.0,
        metadata={
            "description": "The part of the chargers that is waited for: 0.95 is 95 of 100.",
            "default": 1,
        },
    )


class NotAcceptedCharger(Schema):
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    observed = fields.String(required=True, metadata={"enum": [str(state) for state in ObservedState]})
    ocpp_state = fields.String(
        required=True, allow_none=True, metadata={"enum": [*(str(state) for state in OcppState), None]}
    )
    reason = fields.String(required=True, metadata={"description": "Why it is not accepted, as a sentence."})


class ShareAnswer(Schema):
    """How many of a location's chargers their CSMSs have accepted. Beyond the contract."""

    reached = fields.Boolean(required=True, metadata={"description": "Whether the share is accepted."})
    total = fields.Integer(
        required=True,
        metadata={"description": "Chargers of the location, with those that an open job still creates."},
    )
    needed = fields.Integer(required=True, metadata={"description": "How many of them the share is."})
    accepted = fields.Integer(required=True)
    impossible = fields.Integer(
        required=True,
        metadata={"description": "Of the others, those that are stopped or whose provisioning failed."},
    )
    not_accepted = fields.List(
        fields.Nested(NotAcceptedCharger),
        required=True,
        metadata={"description": "The first hundred of the others that exist, oldest first."},
    )


@dataclass(frozen=True, slots=True)
class LocationsQuery(PageQuery):
    labels: tuple[Label, ...] | None


class LocationsQuerySchema(PageQuerySchema):
    record = LocationsQuery

    labels = LabelFilter(
        load_default=None,
        metadata={
            "description": "`run:1234` has this label, `run` any label of this name. Several by comma: all match. "
            "Beyond the contract."
        },
    )


class LocationPage(Schema):
    data = fields.List(fields.Nested(LocationAnswer), required=True)
    total = fields.Integer(required=True, metadata={"description": "Locations over all pages."})
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)
