"""The query and the answers of the routes of hosts."""

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Choices, Instant
from api.http.fleet.rows import doc
from api.http.queries import PageQuery, PageQuerySchema
from api.resources import resources
from shared.fleet.hosts import ShownHost, shortages
from shared.vocabulary import HostState


@dataclass(frozen=True, slots=True)
class HostsQuery(PageQuery):
    state: tuple[str, ...] | None


class HostsQuerySchema(PageQuerySchema):
    record = HostsQuery

    state = Choices(
        HostState,
        load_default=None,
        metadata={"description": "One state, or several by comma.", "example": "starting,unknown"},
    )


class HostLink(Schema):
    """The connection of the host's process to the control link."""

    connected = fields.Boolean(required=True)
    since = Instant(required=True, allow_none=True, metadata=doc("Null while it is not connected."))


class HostAnswer(Schema):
    """An ECS service whose one task runs many chargers of one organization."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    service_name = fields.String(required=True, metadata=doc("Of its ECS service."))
    state = fields.String(
        required=True,
        metadata=doc(
            "`running`: its process is connected to the control link. `draining`: it gets no further charger. "
            "`unknown`: its task runs, and its process is not connected.",
            enum=[*HostState],
        ),
    )
    reason = fields.String(required=True, allow_none=True, metadata=doc("Why it does not run."))
    reason_code = fields.String(
        required=True, allow_none=True, metadata=doc("The same, as a code of docs/errors.md.")
    )
    short_of = fields.List(
        fields.String(), required=True, metadata=doc("What it is short of: a sentence each.")
    )
    control = fields.Nested(HostLink, required=True)
    capacity = fields.Integer(required=True, metadata=doc("Chargers that it may have."))
    chargers = fields.Integer(required=True, metadata=doc("That it has, running or not."))
    max_chargers = fields.Integer(
        required=True, allow_none=True, metadata=doc("That its process has room for. As `reported_at`.")
    )
    running = fields.Integer(
        required=True, allow_none=True, metadata=doc("Chargers that run. As `reported_at`.")
    )
    connected = fields.Integer(
        required=True, allow_none=True, metadata=doc("Of those, to their CSMS. As `reported_at`.")
    )
    lag_ms = fields.Float(
        required=True, allow_none=True, metadata=doc("How late its timers are, p99. As `reported_at`.")
    )
    memory_bytes = fields.Integer(required=True, allow_none=True, metadata=doc("As `reported_at`."))
    memory_limit_bytes = fields.Integer(
        required=True,
        allow_none=True,
        metadata=doc("That its process may have; null: it knows of no limit. As `reported_at`."),
    )
    cpu_percent = fields.Float(required=True, allow_none=True, metadata=doc("Of one core. As `reported_at`."))
    lines_dropped = fields.Integer(
        required=True, allow_none=True, metadata=doc("Of its log, since its start. As `reported_at`.")
    )
    version = fields.String(required=True, allow_none=True, metadata=doc("Of the simulator."))
    task_definition_arn = fields.String(required=True, allow_none=True)
    running_task_arn = fields.String(required=True, allow_none=True, metadata=doc("As ECS last reported it."))
    created_at = Instant(required=True)
    draining_at = Instant(
        required=True, allow_none=True, metadata=doc("Since when it gets no further charger.")
    )
    observed_at = Instant(required=True, allow_none=True, metadata=doc("When ECS last reported on it."))
    reported_at = Instant(
        required=True, allow_none=True, metadata=doc("When its process last reported; it does every 5 s.")
    )


class HostPage(Schema):
    data = fields.List(fields.Nested(HostAnswer), required=True)
    total = fields.Integer(required=True, metadata=doc("Matches over all pages."))
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


#: The fields of the answer that are columns of the row.
_OF_ROW = (
    *("id", "organization_id", "reason_code", "capacity", "chargers", "max_chargers", "running", "connected"),
    *(
        "lag_ms",
        "memory_bytes",
        "memory_limit_bytes",
        "cpu_percent",
        "lines_dropped",
        "version",
        "task_definition_arn",
    ),
    *("running_task_arn", "created_at", "draining_at", "observed_at", "reported_at"),
)


def shown(found: ShownHost) -> dict[str, Any]:
    """What HostAnswer dumps."""
    host = found.host
    return {name: getattr(host, name) for name in _OF_ROW} | {
        "service_name": resources().settings.ecs.name_prefix + host.id,
        "state": found.state,
        "reason": found.reason,
        "short_of": [*shortages(host)],
        "control": {
            "connected": found.connected_since is not None,
            "since": found.connected_since,
        },
    }
