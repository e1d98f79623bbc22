"""The schemas of request bodies and answers, as routes and the OpenAPI document use them.

Field for field the contract's types; those beyond it say so.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from marshmallow import Schema, fields, post_load

from api.http.charger_state import newest_command_of, runtime_of, spec_of
from api.http.fields.fields import Body, Choice, Identity, Instant, Text, WsUrl
from api.http.fields.label_fields import Labels, TtlSeconds
from api.http.fields.placement_field import ChargerPlacement, default_placement
from api.http.fleet.rows import ErrorDetail, NewestCommandOfRow, Runtime, RuntimeOfRow, doc, plain
from api.http.receipts import RUNTIME_KINDS
from api.http.report_schemas import Connectors, ControlLink
from api.http.spec_schemas import SpecAnswer, SpecBody, gathered
from shared.fleet.chargers import ChargerChanges, NewCharger
from shared.queues import QUEUE_OF, TASK_OF, Queue
from shared.vocabulary import (
    CommandStatus,
    EventType,
    OcppVersion,
    ProvisioningStatus,
)


def _page(name: str, rows: type[Schema]) -> type[Schema]:
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(rows), required=True),
            "total": fields.Integer(required=True, metadata=doc("Matches over all pages.")),
            "page": fields.Integer(required=True),
            "limit": fields.Integer(required=True),
        },
        name=name,
    )


class CreateCharger(SpecBody):
    identity = Identity(
        required=True, metadata=doc("What the charger calls itself to its CSMS. Unique per organization.")
    )
    brand_slug = Text(min_length=1, max_length=100, required=True, metadata=doc("From the catalog."))
    model_slug = Text(min_length=1, max_length=100, required=True, metadata=doc("A model of that brand."))
    connector_type = Text(
        min_length=1, max_length=32, required=True, metadata=doc("One of the model's connector_types.")
    )
    ws_url = WsUrl(
        required=True, metadata=doc("The CSMS: the charger connects to this URL, a slash and its identity.")
    )
    ocpp_version = Choice(OcppVersion, allow_none=True, metadata=doc("OCPP1.6 unless given."))
    charge_point_name = Text(max_length=255, allow_none=True, metadata=doc("Becomes `name`."))
    location_id = Text(min_length=1, max_length=128, allow_none=True)
    location_name = Text(max_length=255, allow_none=True, metadata=doc("A label for the simulator."))
    labels = Labels(metadata=doc("Names with values, to find it by. Beyond the contract."))
    ttl_seconds = TtlSeconds(
        metadata=doc("After that, from now on, it is deleted; null for never. Beyond the contract.")
    )
    placement = ChargerPlacement(
        load_default=default_placement,
        metadata=doc(
            "`dedicated`: an ECS service of its own. `shared`: on a host, whose task runs many chargers. "
            "`DEFAULT_PLACEMENT` unless given. Beyond the contract."
        ),
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> NewCharger:
        data = gathered(data)
        name = data.pop("charge_point_name", None)
        version = data.pop("ocpp_version", None) or OcppVersion.V16.value
        return NewCharger(**data, name=name, ocpp_version=version)


class UpdateCharger(SpecBody):
    """An absent field keeps its value; null clears a name, a location, the labels or the time to live."""

    name = Text(max_length=255, allow_none=True)
    charge_point_name = Text(
        max_length=255, allow_none=True, metadata=doc("The same as `name`, and wins over it.")
    )
    connector_type = Text(min_length=1, max_length=32, metadata=doc("One of the model's connector_types. "))
    ocpp_version = Choice(OcppVersion, metadata=doc())
    ws_url = WsUrl(metadata=doc())
    location_id = Text(min_length=1, max_length=128, allow_none=True, metadata=doc())
    location_name = Text(max_length=255, allow_none=True, metadata=doc())
    labels = Labels(metadata=doc("Instead of all that it has; null removes them. Beyond the contract."))
    ttl_seconds = TtlSeconds(
        metadata=doc("After that, from now on, it is deleted; null for never. Beyond the contract.")
    )
    placement = ChargerPlacement(
        metadata=doc("Another one moves it: it ends here before it starts there. Beyond the contract.")
    )

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


class ChargerAnswer(Schema):
    id = fields.String(required=True)
    identity = fields.String(required=True)
    name = fields.String(allow_none=True)
    vendor_name = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    image_url = fields.String(allow_none=True)
    ocpp_version = fields.String(allow_none=True, metadata=doc(enum=[*OcppVersion, None]))
    number_of_connectors = fields.Integer(allow_none=True)
    max_charging_power = fields.Integer(allow_none=True, metadata=doc("Watts."))
    connector_type = fields.String(allow_none=True)
    location_id = fields.String(allow_none=True)
    created_at = Instant(allow_none=True)
    updated_at = Instant(allow_none=True)
    status = fields.String(
        attribute="provisioning_status",
        required=True,
        metadata=doc("Of its provisioning. Beyond the contract.", enum=[*ProvisioningStatus]),
    )
    ws_url = fields.String(required=True, metadata=doc("The CSMS. Beyond the contract."))
    location_name = fields.String(allow_none=True, metadata=doc("Beyond the contract."))
    brand_slug = fields.String(required=True, metadata=doc("Beyond the contract."))
    model_slug = fields.String(required=True, metadata=doc("Beyond the contract."))
    labels = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata=doc("Beyond the contract.")
    )
    expires_at = Instant(
        required=True,
        allow_none=True,
        metadata=doc("It is deleted then; null for never. Beyond the contract."),
    )
    error = fields.Nested(
        ErrorDetail,
        required=True,
        allow_none=True,
        metadata=doc("Why its provisioning failed. Beyond the contract."),
    )
    command = NewestCommandOfRow(
        required=True, allow_none=True, metadata=doc("Its newest. Beyond the contract.")
    )
    runtime = RuntimeOfRow(required=True)


class ListedCharger(fields.Nested):
    """A row of a list, written as ChargerAnswer would, which takes several times as long."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ChargerAnswer, **kwargs)

    def _serialize(self, nested_obj: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]  # as Nested does
        return {name: plain(read(nested_obj)) for name, read in _READERS.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    name: attrgetter(field.attribute or name) for name, field in ChargerAnswer().fields.items()
} | {"runtime": runtime_of, "command": newest_command_of}


class _SpecOfRow(fields.Nested):
    """Computed from the rows of the charger, its settings and its report."""

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return spec_of(obj)


class ChargerDetail(ChargerAnswer):
    """One charger, with more than lists have."""

    connectors = Connectors(
        required=True,
        allow_none=True,
        metadata=doc("As the charger last reported them; null before that. Beyond the contract."),
    )
    control = ControlLink(required=True, metadata=doc("Beyond the contract."))
    spec = _SpecOfRow(SpecAnswer, required=True, metadata=doc("Beyond the contract."))


#: That carry commands.
QUEUES = (Queue.LIFECYCLE, Queue.PROVISIONING)


class _QueueOfCommand(fields.String):
    """Computed from the command's row."""

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return QUEUE_OF[TASK_OF[EventType(obj.event_type)]]


class CommandAnswer(Schema):
    """A command: what was requested, by whom, and its result. Beyond the contract."""

    id = fields.UUID(required=True)
    charger_id = fields.String(required=True)
    event_type = fields.String(required=True, metadata=doc(enum=[*EventType]))
    generation = fields.Integer(required=True)
    status = fields.String(required=True, metadata=doc(enum=[*CommandStatus]))
    error = fields.Nested(ErrorDetail, allow_none=True)
    reason = fields.String(allow_none=True, metadata=doc("Why ECS has not accepted it yet."))
    attempts = fields.Integer(required=True, metadata=doc("Attempts at ECS so far."))
    requested_by = fields.String(required=True)
    request_id = fields.String(allow_none=True)
    created_at = Instant(required=True)
    applied_at = Instant(allow_none=True, metadata=doc("When ECS accepted it."))
    finished_at = Instant(allow_none=True)
    queue = _QueueOfCommand(required=True, metadata=doc("That carries it to a worker.", enum=QUEUES))
    held_since = Instant(
        required=True, allow_none=True, metadata=doc("Since when the rate budget holds it back.")
    )
    next_attempt_at = Instant(
        required=True,
        allow_none=True,
        metadata=doc("No worker tries it before; null when nothing delays it."),
    )
    superseded_by = fields.UUID(
        required=True,
        allow_none=True,
        metadata=doc("The next command of the charger, when the status is `superseded`."),
    )


class ChargerAccepted(Schema):
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    status = fields.String(required=True, metadata=doc(enum=[*ProvisioningStatus]))
    workflow_run_id = fields.String(allow_none=True, metadata=doc("For debugging."))
    status_url = fields.String(required=True, metadata=doc("A path."))
    command_id = fields.UUID(required=True, metadata=doc("Beyond the contract."))
    generation = fields.Integer(required=True, metadata=doc("Beyond the contract."))
    command = fields.Nested(
        CommandAnswer, metadata=doc("With `wait`, once it is final. Beyond the contract.")
    )
    runtime = fields.Nested(
        Runtime,
        metadata=doc(
            "With `until=accepted`: the charger by then, unless it is deleted. Beyond the contract."
        ),
    )


class ChargerStatus(Schema):
    charger_id = fields.String(required=True)
    status = fields.String(required=True, metadata=doc(enum=[*ProvisioningStatus]))
    workflow_run_id = fields.String(allow_none=True)
    error = fields.Nested(ErrorDetail, allow_none=True, metadata=doc("When the status is FAILED."))
    provisioned_at = Instant(allow_none=True)


class Payload(Schema):
    """The ECS service as requested, and its status as last reported."""

    provider = fields.String(required=True, metadata=doc(enum=["aws"]))
    runtime_kind = fields.String(
        required=True,
        metadata=doc("`ecs_shared_service`: the service is its host's.", enum=[*RUNTIME_KINDS.values()]),
    )
    service_name = fields.String(
        required=True, allow_none=True, metadata=doc("Null while a shared charger has no host.")
    )
    desired_count = fields.Integer(required=True, metadata=doc("Of the charger, after this request."))
    status = fields.String(
        required=True,
        metadata=doc("Of the service, which stays ACTIVE when scaled to 0; INACTIVE while there is none."),
    )


class QueuedCommand(Schema):
    id = fields.String(required=True, metadata=doc("The charger's."))
    event_type = fields.String(required=True, metadata=doc(enum=[*EventType]))
    ocpp_version = fields.String(required=True, metadata=doc(enum=[*OcppVersion]))
    payload = fields.Nested(Payload, required=True)
    command_id = fields.UUID(required=True, metadata=doc("Beyond the contract."))
    generation = fields.Integer(required=True, metadata=doc("Beyond the contract."))
    status_url = fields.String(required=True, metadata=doc("The command's path. Beyond the contract."))
    command = fields.Nested(
        CommandAnswer, metadata=doc("With `wait`, once it is final. Beyond the contract.")
    )
    runtime = fields.Nested(
        Runtime,
        metadata=doc(
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
    current_type = fields.String(allow_none=True, metadata=doc(enum=["ac", "dc", None]))
    supported_kwh = fields.List(
        fields.Float(), allow_none=True, metadata=doc("Power levels in kW, despite the name.")
    )
    connector_types = fields.List(fields.String(), allow_none=True)
    created_at = Instant(allow_none=True)


class Health(Schema):
    status = fields.String(required=True)
    version = fields.String(required=True)


class Ready(Schema):
    status = fields.String(required=True, metadata=doc(enum=["ready"]))
    broker = fields.String(required=True, metadata=doc("`ok`, or why it cannot be reached."))
    maintenance = fields.String(
        required=True, metadata=doc("`ok`, or which tasks of the workers have not succeeded for too long.")
    )


class PlainError(Schema):
    """HttpErrorResponse of the contract."""

    detail = fields.String(required=True)


class ValidationItem(Schema):
    loc = fields.List(fields.Raw(metadata=doc(type=["string", "integer"])), required=True)
    msg = fields.String(required=True)
    type = fields.String(required=True)
    ctx = fields.Dict()


class ValidationErrors(Schema):
    """HttpValidationError of the contract."""

    detail = fields.List(fields.Nested(ValidationItem), required=True)


class ChargerPage(Schema):
    data = fields.List(ListedCharger(), required=True)
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata=doc("Matches over all pages. Null on a page by cursor."),
    )
    page = fields.Integer(required=True, allow_none=True, metadata=doc("Null on a page by cursor."))
    limit = fields.Integer(required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata=doc("`cursor` for what follows; null when nothing does. Beyond the contract."),
    )


CommandPage = _page("CommandPage", CommandAnswer)
BrandPage = _page("BrandPage", BrandAnswer)
ModelPage = _page("ModelPage", ModelAnswer)
