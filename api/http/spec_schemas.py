"""The settings of a charger beyond the contract's fields, as bodies have them and as answers show them."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from api.http.fields.fields import Body, Choice, Instant, Problem, Text
from api.http.fields.json_fields import Array, Boolean, Integer, Nested, Number
from api.http.fields.scenario_field import Scenario
from api.http.fields.spec_fields import (
    AuthorizationKey,
    Certificates,
    Json,
    Profile,
    SecondsOrNever,
    Secret,
    Unsupported,
)
from shared.fleet.actions.secrets import is_secret

MAX_CONNECTORS = 100  # of the simulator, too
CURVES = ("flat", "taper")
TIME_MAX_S = 31_536_000


def _doc(description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, **more}


class Security(Body):
    """How the charger authenticates to its CSMS, and whom it trusts. An update changes each member on its own."""

    profile = Profile(
        allow_none=True,
        metadata=_doc(
            "OCPP's security profile: 0 no password, 1 password, 2 password over TLS. 3 answers 422."
        ),
    )
    password = Secret(
        min_length=1,
        max_length=40,
        allow_none=True,
        metadata=_doc(
            "Of HTTP Basic authentication. Stored encrypted, never shown. Takes the place of a key."
        ),
    )
    authorization_key_hex = AuthorizationKey(
        allow_none=True,
        metadata=_doc("The same as bytes, as OCPP 1.6's AuthorizationKey. Takes the place of a password."),
    )
    ca_certificates = Certificates(
        allow_none=True,
        metadata=_doc(
            "In PEM: the charger trusts a CSMS at wss:// whose certificate one of these signed, and no other."
        ),
    )
    client_certificate = Unsupported("client certificates")
    client_key = Unsupported("client certificates")

    @validates_schema
    def _check_one_secret(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("password") and data.get("authorization_key_hex"):
            message = "A charger should have a password or a key, not both"
            raise ValidationError(Problem(message, "value_error"), "authorization_key_hex")


class Connectors(Body):
    """Instead of what the catalog's model has."""

    number = Integer(
        minimum=1, maximum=MAX_CONNECTORS, metadata=_doc("In OCPP 2.0.1: EVSEs of one connector each.")
    )
    types = Array(
        Text(min_length=1, max_length=32),
        min_length=1,
        max_length=MAX_CONNECTORS,
        metadata=_doc(
            "Of connector 1, 2, ...; further ones are of `connector_type`. All must be of the model."
        ),
    )

    @validates_schema
    def _check_number(self, data: dict[str, Any], **_: Any) -> None:
        if len(data.get("types", ())) > data.get("number", MAX_CONNECTORS):
            raise ValidationError(Problem("There are more types than connectors", "value_error"), "types")


class Vehicle(Body):
    """Each car that comes to the charger, from the next one on."""

    plug_in_after_s = SecondsOrNever(metadata=_doc("After a remote start; or `never`. 1 unless given."))
    leave_after_s = SecondsOrNever(metadata=_doc("After charging has stopped; or `never`. 10 unless given."))
    energy_wh = Integer(minimum=1, maximum=10_000_000, metadata=_doc("That it takes. 20000 unless given."))
    battery_wh = Integer(minimum=1, maximum=10_000_000, metadata=_doc("60000 unless given."))
    soc_percent = Integer(minimum=0, maximum=100, metadata=_doc("When it arrives."))
    max_power_w = Integer(
        minimum=1, maximum=10_000_000, metadata=_doc("As much as the charger unless given.")
    )
    curve = Choice(CURVES, metadata=_doc("Whether its power falls as it fills up. taper at DC unless given."))
    phases = Integer(minimum=1, maximum=3)
    power_factor = Number(minimum=0.5, maximum=1)


class AutomaticSessions(Body):
    """Cars that come by themselves and charge."""

    every_s = Number(
        minimum=0,
        maximum=TIME_MAX_S,
        required=True,
        metadata=_doc("On average this long apart, at each connector; 0: none."),
    )
    id_tag = Text(min_length=1, max_length=20, metadata=_doc("That they show. CHARGEHAND unless given."))


class Reconnect(Body):
    """The waits before the charger connects to its CSMS again."""

    wait_s = Number(minimum=0, maximum=86_400, metadata=_doc("The first; it doubles. 1 unless given."))
    random_s = Number(
        minimum=0,
        maximum=86_400,
        metadata=_doc("Added at random, up to this. 30 unless given."),
    )
    max_s = Number(minimum=0, maximum=86_400, metadata=_doc("The longest. 60 unless given."))

    @validates_schema
    def _check_longest(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("max_s", 60) < data.get("random_s", 30):
            message = "max_s (60 unless given) should not be below random_s (30 unless given)"
            raise ValidationError(Problem(message, "value_error"), "max_s")


class SpecBody(Body):
    """The settings in a create and in an update, where each key is replaced as a whole and null removes it."""

    security = Nested(Security, allow_none=True)
    connectors = Nested(Connectors, allow_none=True)
    configuration = Json(
        (dict,),
        allow_none=True,
        metadata=_doc(
            "Configuration keys of OCPP 1.6, or Component.Variable of 2.0.1, with the values that the charger begins with.",
            type="object",
            additionalProperties={"type": ["string", "number", "boolean"]},
        ),
    )
    vehicle = Nested(Vehicle, allow_none=True)
    visitors = Nested(AutomaticSessions, allow_none=True)
    scenario = Scenario(
        allow_none=True, metadata=_doc("Actions with times and conditions: docs/scenarios.md.")
    )
    serial_number = Text(
        min_length=1, max_length=25, allow_none=True, metadata=_doc("The identity unless given.")
    )
    firmware_version = Text(min_length=1, max_length=50, allow_none=True)
    iccid = Text(min_length=1, max_length=20, allow_none=True, metadata=_doc("Of its SIM card."))
    imsi = Text(min_length=1, max_length=20, allow_none=True, metadata=_doc("Of its SIM card."))
    meter_start_wh = Integer(
        minimum=0,
        maximum=1_000_000_000,
        allow_none=True,
        metadata=_doc("Of a charger that remembers no register."),
    )
    boot_on_reconnect = Boolean(
        allow_none=True, metadata=_doc("Whether it sends BootNotification each time.")
    )
    reconnect = Nested(Reconnect, allow_none=True)

    @validates_schema
    def _check_configuration(self, data: dict[str, Any], **_: Any) -> None:
        for key, value in (data.get("configuration") or {}).items():
            if is_secret(key):
                message = "A password or key is a secret: set it in `security`"
                raise ValidationError({"configuration": {key: [Problem(message, "value_error")]}})
            if not isinstance(value, str | int | float) or len(key) > 100 or len(str(value)) > 1_000:
                message = "Input should be a text, a number or a boolean, of at most 1000 characters"
                raise ValidationError({"configuration": {key: [Problem(message, "value_error")]}})


def gathered(data: dict[str, Any]) -> dict[str, Any]:
    """What was loaded, with the settings under one key, beside the contract's fields."""
    settings = {name: data.pop(name) for name in SETTINGS if name in data}
    return {**data, "settings": settings}


SETTINGS = tuple(SpecBody().fields)


class SecurityAnswer(Schema):
    profile = fields.Integer(allow_none=True)
    password_set = fields.Boolean(required=True)
    authorization_key_set = fields.Boolean(required=True)
    ca_certificates = fields.String(allow_none=True)


class SpecAnswer(Schema):
    """What the charger is to be: as set by create and update, null where nothing is set. Secrets are not shown."""

    revision = fields.Integer(required=True, metadata=_doc("+1 with every change; 0 before the first."))
    applied_revision = fields.Integer(
        required=True,
        allow_none=True,
        metadata=_doc(
            "The newest that the charger follows; with `error`, cannot follow. Null without the control link."
        ),
    )
    error = fields.String(
        required=True, allow_none=True, metadata=_doc("Why the charger does not follow the newest revision.")
    )
    updated_at = Instant(required=True, allow_none=True, metadata=_doc("Of the newest revision."))
    ws_url = fields.String(required=True)
    security = fields.Nested(SecurityAnswer, required=True, allow_none=True)
    connectors = fields.Nested(Connectors, required=True, allow_none=True)
    configuration = fields.Dict(required=True, allow_none=True)
    vehicle = fields.Nested(Vehicle, required=True, allow_none=True)
    visitors = fields.Nested(AutomaticSessions, required=True, allow_none=True)
    scenario = fields.Raw(required=True, metadata=_doc("As given.", type=["object", "array", "null"]))
    serial_number = fields.String(required=True, allow_none=True)
    firmware_version = fields.String(required=True, allow_none=True)
    iccid = fields.String(required=True, allow_none=True)
    imsi = fields.String(required=True, allow_none=True)
    meter_start_wh = fields.Integer(required=True, allow_none=True)
    boot_on_reconnect = fields.Boolean(required=True, allow_none=True)
    reconnect = fields.Nested(Reconnect, required=True, allow_none=True)
