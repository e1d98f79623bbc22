"""The schemas of request bodies and answers, as routes and the OpenAPI document use them.

Field for field the contract's types; those beyond it say so.
"""

from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, fields, post_load

from api.http.charger_state import runtime_of, spec_of
from api.http.fields.fields import Body, Choice, Identity, Instant, Text, WsUrl
from api.http.report_schemas import Connectors, ControlLink
from api.http.spec_schemas import SpecAnswer, SpecBody, gathered
from shared.fleet.chargers import ChargerChanges, NewCharger
from shared.vocabulary import (
    CommandStatus,
    EventType,
    ObservedState,
    OcppState,
    OcppVersion,
    ProvisioningStatus,
)


def _doc(description: str = "", *, enum: Iterable[str | None] = (), **more: Any) -> dict[str, Any]:
    """Metadata that only the document shows."""
    if description:
        more["description"] = description
    if values := [value and str(value) for value in enum]:
        more["enum"] = values
    return more


def _page(name: str, rows: type[Schema]) -> type[Schema]:
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(rows), required=True),
            "total": fields.Integer(required=True, metadata=_doc("Matches over all pages.")),
            "page": fields.Integer(required=True),
            "limit": fields.Integer(required=True),
        },
        name=name,
    )


class CreateCharger(SpecBody):
    identity = Identity(
        required=True, metadata=_doc("What the charger calls itself to its CSMS. Unique per organization.")
    )
    brand_slug = Text(min_length=1, max_length=100, required=True, metadata=_doc("From the catalog."))
    model_slug = Text(min_length=1, max_length=100, required=True, metadata=_doc("A model of that brand."))
    connector_type = Text(
        min_length=1, max_length=32, required=True, metadata=_doc("One of the model's connector_types.")
    )
    ws_url = WsUrl(
        required=True, metadata=_doc("The CSMS: the charger connects to this URL, a slash and its identity.")
    )
    ocpp_version = Choice(OcppVersion, allow_none=True, metadata=_doc("OCPP1.6 unless given."))
    charge_point_name = Text(max_length=255, allow_none=True, metadata=_doc("Becomes `name`."))
    location_id = Text(min_length=1, max_length=128, allow_none=True)
    location_name = Text(max_length=255, allow_none=True, metadata=_doc("A label for the simulator."))

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> NewCharger:
        data = gathered(data)
        name = data.pop("charge_point_name", None)
        version = data.pop("ocpp_version", None) or OcppVersion.V16.value
        return NewCharger(**data, name=name, ocpp_version=version)


class UpdateCharger(SpecBody):
    """An absent field keeps its value; null clears a name or a location."""

    name = Text(max_length=255, allow_none=True)
    charge_point_name = Text(
        max_length=255, allow_none=True, metadata=_doc("The same as `name`, and wins over it.")
    )
    connector_type = Text(min_length=1, max_length=32, metadata=_doc("One of the model's connector_types. "))
    ocpp_version = Choice(OcppVersion, metadata=_doc())
    ws_url = WsUrl(metadata=_doc())
    location_id = Text(min_length=1, max_length=128, allow_none=True, metadata=_doc())
    location_name = Text(max_length=255, allow_none=True, metadata=_doc())

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ChargerChanges:
        data = gathered(data)
        if "charge_point_name" in data:
            data["name"] = data.pop("charge_point_name")
        return ChargerChanges(**data)


class Ignored(Body):
    """No body, or any object: its content is ignored, the action is in the path."""

    optional = True

    class Meta:
        unknown = "exclude"


class Ocpp(Schema):
    """The charger's link to its CSMS, as it reports it over the control link, or else as its log says."""

    state = fields.String(allow_none=True, metadata=_doc(enum=[*OcppState, None]))
    reason = fields.String(allow_none=True)
    since = Instant(allow_none=True)
    last_frame_at = Instant(allow_none=True)
    stale_reason = fields.String(
        allow_none=True, metadata=_doc("Why the state may have changed since: the logs are read late.")
    )


class Runtime(Schema):
    """The desired and the observed state. Beyond the contract."""

    desired = fields.String(required=True, metadata=_doc(enum=["running", "stopped"]))
    observed = fields.String(required=True, metadata=_doc(enum=[*ObservedState]))
    observed_since = Instant(required=True, metadata=_doc("Since when it is in the state of `observed`."))
    desired_count = fields.Integer(required=True)
    running_count = fields.Integer(required=True)
    pending_count = fields.Integer(required=True)
    generation = fields.Integer(required=True, metadata=_doc("+1 with every requested change."))
    observed_generation = fields.Integer(required=True, metadata=_doc("The newest that ECS accepted."))
    observed_at = Instant(allow_none=True)
    stale = fields.Boolean(required=True, metadata=_doc("Not observed for a while."))
    reason = fields.String(allow_none=True, metadata=_doc("Why it does not run as desired."))
    reason_code = fields.String(allow_none=True, metadata=_doc("The same, as a code of docs/errors.md."))
    ocpp = fields.Nested(Ocpp, required=True)


class _RuntimeOfRow(fields.Nested):
    """Computed from the row, once per answer."""

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return runtime_of(obj)


class ChargerAnswer(Schema):
    id = fields.String(required=True)
    identity = fields.String(required=True)
    name = fields.String(allow_none=True)
    vendor_name = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    image_url = fields.String(allow_none=True)
    ocpp_version = fields.String(allow_none=True, metadata=_doc(enum=[*OcppVersion, None]))
    number_of_connectors = fields.Integer(allow_none=True)
    max_charging_power = fields.Integer(allow_none=True, metadata=_doc("Watts."))
    connector_type = fields.String(allow_none=True)
    location_id = fields.String(allow_none=True)
    created_at = Instant(allow_none=True)
    updated_at = Instant(allow_none=True)
    status = fields.String(
        attribute="provisioning_status",
        required=True,
        metadata=_doc("Of its provisioning. Beyond the contract.", enum=[*ProvisioningStatus]),
    )
    runtime = _RuntimeOfRow(Runtime, required=True)


class _SpecOfRow(fields.Nested):
    """Computed from the rows of the charger, its settings and its report."""

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return spec_of(obj)


class ChargerDetail(ChargerAnswer):
    """One charger, with more than lists have."""

    connectors = Connectors(
        required=True,
        allow_none=True,
        metadata=_doc("As the charger last reported them; null before that. Beyond the contract."),
    )
    control = ControlLink(required=True, metadata=_doc("Beyond the contract."))
    spec = _SpecOfRow(SpecAnswer, required=True, metadata=_doc("Beyond the contract."))


class ErrorDetail(Schema):
    """Why it failed, as a code and in words."""

    code = fields.String(required=True, metadata=_doc("See docs/errors.md."))
    message = fields.String(required=True)
    step = fields.String(allow_none=True)
    param = fields.String(allow_none=True)
    doc_url = fields.String(allow_none=True)
    retryable = fields.Boolean(allow_none=True)


class CommandAnswer(Schema):
    """A command: what was requested, by whom, and its result. Beyond the contract."""

    id = fields.UUID(required=True)
    charger_id = fields.String(required=True)
    event_type = fields.String(required=True, metadata=_doc(enum=[*EventType]))
    generation = fields.Integer(required=True)
    status = fields.String(required=True, metadata=_doc(enum=[*CommandStatus]))
    error = fields.Nested(ErrorDetail, allow_none=True)
    reason = fields.String(allow_none=True, metadata=_doc("Why ECS has not accepted it yet."))
    attempts = fields.Integer(required=True, metadata=_doc("Attempts at ECS so far."))
    requested_by = fields.String(required=True)
    request_id = fields.String(allow_none=True)
    created_at = Instant(required=True)
    applied_at = Instant(allow_none=True, metadata=_doc("When ECS accepted it."))
    finished_at = Instant(allow_none=True)


class ChargerAccepted(Schema):
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    status = fields.String(required=True, metadata=_doc(enum=[*ProvisioningStatus]))
    workflow_run_id = fields.String(allow_none=True, metadata=_doc("For debugging."))
    status_url = fields.String(required=True, metadata=_doc("A path."))
    command_id = fields.UUID(required=True, metadata=_doc("Beyond the contract."))
    generation = fields.Integer(required=True, metadata=_doc("Beyond the contract."))
    command = fields.Nested(
        CommandAnswer, metadata=_doc("With `wait`, once it is final. Beyond the contract.")
    )
    runtime = fields.Nested(
        Runtime,
        metadata=_doc(
            "With `until=accepted`: the charger by then, unless it is deleted. Beyond the contract."
        ),
    )


class ChargerStatus(Schema):
    charger_id = fields.String(required=True)
    status = fields.String(required=True, metadata=_doc(enum=[*ProvisioningStatus]))
    workflow_run_id = fields.String(allow_none=True)
    error = fields.Nested(ErrorDetail, allow_none=True, metadata=_doc("When the status is FAILED."))
    provisioned_at = Instant(allow_none=True)


class Payload(Schema):
    """The ECS service as requested, and its status as last reported."""

    provider = fields.String(required=True, metadata=_doc(enum=["aws"]))
    runtime_kind = fields.String(required=True, metadata=_doc(enum=["ecs_service"]))
    service_name = fields.String(required=True)
    desired_count = fields.Integer(required=True, metadata=_doc("After this request."))
    status = fields.String(
        required=True, metadata=_doc("Of the service, which stays ACTIVE when scaled to 0.")
    )


class QueuedCommand(Schema):
    id = fields.String(required=True, metadata=_doc("The charger's."))
    event_type = fields.String(required=True, metadata=_doc(enum=[*EventType]))
    ocpp_version = fields.String(required=True, metadata=_doc(enum=[*OcppVersion]))
    payload = fields.Nested(Payload, required=True)
    command_id = fields.UUID(required=True, metadata=_doc("Beyond the contract."))
    generation = fields.Integer(required=True, metadata=_doc("Beyond the contract."))
    status_url = fields.String(required=True, metadata=_doc("The command's path. Beyond the contract."))
    command = fields.Nested(
        CommandAnswer, metadata=_doc("With `wait`, once it is final. Beyond the contract.")
    )
    runtime = fields.Nested(
        Runtime,
        metadata=_doc(
            "With `until=accepted`: the charger by then, unless it is deleted. Beyond the contract."
        ),
    )


class BrandAnswer(Schema):
    id = fields.UUID(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)
    image_url = fields.String(allow_none=True)
    created_at = Instant(allow_none=True)


class ModelAnswer(Schema):
    id = fields.UUID(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)
    brand_slug = fields.String(allow_none=True)
    brand_id = fields.UUID(allow_none=True)
    image_url = fields.String(allow_none=True)
    connector_count = fields.Integer(allow_none=True)
    current_type = fields.String(allow_none=True, metadata=_doc(enum=["ac", "dc", None]))
    supported_kwh = fields.List(
        fields.Float(), allow_none=True, metadata=_doc("Power levels in kW, despite the name.")
    )
    connector_types = fields.List(fields.String(), allow_none=True)
    created_at = Instant(allow_none=True)


class Health(Schema):
    status = fields.String(required=True)
    version = fields.String(required=True)


class Ready(Schema):
    status = fields.String(required=True, metadata=_doc(enum=["ready"]))
    broker = fields.String(required=True, metadata=_doc("`ok`, or why it cannot be reached."))
    maintenance = fields.String(
        required=True, metadata=_doc("`ok`, or which tasks of the workers have not succeeded for too long.")
    )


class PlainError(Schema):
    """HttpErrorResponse of the contract."""

    detail = fields.String(required=True)


class ValidationItem(Schema):
    loc = fields.List(fields.Raw(metadata=_doc(type=["string", "integer"])), required=True)
    msg = fields.String(required=True)
    type = fields.String(required=True)
    ctx = fields.Dict()


class ValidationErrors(Schema):
    """HttpValidationError of the contract."""

    detail = fields.List(fields.Nested(ValidationItem), required=True)


class ChargerPage(Schema):
    data = fields.List(fields.Nested(ChargerAnswer), required=True)
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata=_doc("Matches over all pages. Null on a page by cursor."),
    )
    page = fields.Integer(required=True, allow_none=True, metadata=_doc("Null on a page by cursor."))
    limit = fields.Integer(required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata=_doc("`cursor` for what follows; null when nothing does. Beyond the contract."),
    )


CommandPage = _page("CommandPage", CommandAnswer)
BrandPage = _page("BrandPage", BrandAnswer)
ModelPage = _page("ModelPage", ModelAnswer)
