"""The body of a request that creates many chargers, and its query: the contract's (6.2); what is beyond it says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, post_load, pre_load, validates_schema

from api.http.fields.fields import (
    Body,
    Choice,
    Identity,
    Problem,
    Query,
    QueryInteger,
    QueryNumber,
    Text,
    WsUrl,
)
from api.http.fields.json_fields import Array, Integer, Nested, check_length
from api.http.fields.label_fields import Labels, TtlSeconds
from api.http.fields.placement_field import ChargerPlacement, default_placement
from api.http.spec_schemas import SpecBody, gathered
from shared.fleet.expiry import MAX_TTL_S, MIN_TTL_S
from shared.fleet.jobs.accept import MAX_CHARGERS
from shared.fleet.jobs.create import RANDOM_BYTES, Group, Template
from shared.vocabulary import OcppVersion

MAX_GROUPS = 1_000
MAX_RATE = 1_000
RANDOM_LENGTH = 2 * RANDOM_BYTES
MAX_IDENTITY = 48

_NOT_A_LIST = Problem("Input should be a valid list", "list_type")
_NEITHER = Problem("Give 'charger_ids', 'chargers_number', or both", "value_error")


class ChargerTemplate(SpecBody):
    """What the chargers of a group have in common."""

    brand_slug = Text(
        min_length=1, max_length=100, required=True, metadata={"description": "From the catalog."}
    )
    model_slug = Text(
        min_length=1, max_length=100, required=True, metadata={"description": "A model of that brand."}
    )
    connector_type = Text(
        min_length=1,
        max_length=32,
        required=True,
        metadata={"description": "One of the model's connector_types."},
    )
    ws_url = WsUrl(required=True, metadata={"description": "The CSMS."})
    ocpp_version = Choice(OcppVersion, allow_none=True, metadata={"description": "OCPP1.6 unless given."})
    identity_prefix = Text(
        max_length=MAX_IDENTITY - 1,
        allow_none=True,
        metadata={"description": "Before each suffix: both together are an identity."},
    )
    template_name = Text(
        max_length=200,
        allow_none=True,
        metadata={"description": "The names are this, a space and the suffix. Without it they have none."},
    )
    location_name = Text(
        max_length=255,
        allow_none=True,
        metadata={
            "description": "A label for the simulators: the location's name unless given. Beyond the contract."
        },
    )
    labels = Labels(metadata={"description": "Names with values, to find them by. Beyond the contract."})
    ttl_seconds = TtlSeconds(
        metadata={"description": "So long after its creation each charger is deleted. Beyond the contract."}
    )
    placement = ChargerPlacement(
        load_default=default_placement,
        metadata={
            "description": "`dedicated`: an ECS service for each. `shared`: on hosts, whose tasks run many chargers. "
            "`DEFAULT_PLACEMENT` unless given. Beyond the contract."
        },
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Template:
        data = gathered(data)
        version = data.pop("ocpp_version", None) or OcppVersion.V16.value
        prefix = data.pop("identity_prefix", None) or ""
        return Template(**data, ocpp_version=version, identity_prefix=prefix)


class Suffixes(Array):
    """The ends of identities. Checked in one pass, with their prefix: ten thousand fields would take a tenth of a second."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            Text(min_length=1, max_length=MAX_IDENTITY), min_length=1, max_length=MAX_CHARGERS, **kwargs
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        check_length(len(value), 1, MAX_CHARGERS, what="List")
        for position, suffix in enumerate(value):
            if not isinstance(suffix, str):
                raise ValidationError({position: [Text.default_error_messages["invalid"]]})
        return value


class ChargerGroup(Body):
    """Chargers that are alike. With both, the list is cut to the number, or random suffixes are added."""

    template = Nested(ChargerTemplate, required=True)
    charger_ids = Suffixes(
        allow_none=True,
        metadata={"description": "The suffixes of their identities."},
    )
    chargers_number = Integer(
        minimum=1,
        maximum=MAX_CHARGERS,
        allow_none=True,
        metadata={
            "description": f"How many in all. Those beyond `charger_ids` get random suffixes of {RANDOM_LENGTH} hex digits."
        },
    )

    @validates_schema
    def _check_group(self, data: dict[str, Any], **_: Any) -> None:
        suffixes, number = data.get("charger_ids"), data.get("chargers_number")
        if suffixes is None and number is None:
            raise ValidationError(_NEITHER, "chargers_number")
        prefix = data["template"].identity_prefix
        for position, suffix in enumerate((suffixes or ())[:number]):
            if not Identity.fits(prefix + suffix):
                raise ValidationError({"charger_ids": {position: [_not_an_identity(prefix + suffix)]}})
        random = number is not None and number > len(suffixes or ())
        if random and not Identity.fits(prefix + RANDOM_LENGTH * "0"):
            raise ValidationError(_not_an_identity(prefix + RANDOM_LENGTH * "0"), "template")

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Group:
        return Group(data["template"], tuple(data.get("charger_ids") or ()), data.get("chargers_number"))


class ChargerGroups(ChargerGroup):
    """A list of groups, without an object around it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(many=True, **kwargs)

    @pre_load(pass_collection=True)
    def _check_list(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, list):
            raise ValidationError(_NOT_A_LIST)
        check_length(len(data), 1, MAX_GROUPS, what="List")
        return data

    @validates_schema(pass_collection=True)
    def _check_total(self, data: Sequence[Mapping[str, Any]], **_: Any) -> None:
        total = sum(_size_of(group) for group in data)
        if total > MAX_CHARGERS:
            message = f"The groups should have at most {MAX_CHARGERS} chargers together, not {total}"
            raise ValidationError(Problem(message, "too_long", max_length=MAX_CHARGERS))


def _size_of(group: Mapping[str, Any]) -> int:
    number: int | None = group.get("chargers_number")
    return len(group.get("charger_ids") or ()) if number is None else number


def _not_an_identity(identity: str) -> Problem:
    return Problem(
        f"{identity[:60]!r} is no identity: 1 to {MAX_IDENTITY} letters, digits and *-_=:+|@. and spaces between them",
        "string_pattern_mismatch",
    )


@dataclass(frozen=True, slots=True)
class CreateManyQuery:
    rate_per_second: float | None
    ttl_seconds: int | None


class CreateManyQuerySchema(Query):
    record = CreateManyQuery

    rate_per_second = QueryNumber(
        minimum=0.01,
        maximum=MAX_RATE,
        load_default=None,
        metadata={"description": "A ramp: so many chargers per second, at most. Beyond the contract."},
    )
    ttl_seconds = QueryInteger(
        minimum=MIN_TTL_S,
        maximum=MAX_TTL_S,
        load_default=None,
        metadata={
            "description": "After that, each charger is deleted whose template has no `ttl_seconds`. Beyond the contract."
        },
    )
