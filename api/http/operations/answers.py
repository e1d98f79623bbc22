"""The answer of GET /ocpp/operations: its schema, and how figures become its body. Beyond the contract."""

from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant
from api.live.operations import Service
from shared.maintenance import late_task, periods_s
from shared.operations.commands import AGES_S, OldCommand, OpenCommands, OpenOnQueue
from shared.operations.processes import serving
from shared.queues import Queue
from shared.settings import Timing
from shared.vocabulary import OPEN, EventType

QUEUES = [queue.value for queue in Queue]


def _described(text: str, **more: Any) -> dict[str, Any]:
    return {"description": text, **more}


class CommandsByAge(Schema):
    older_than_s = fields.Integer(required=True)
    count = fields.Integer(required=True)


class QueueState(Schema):
    queue = fields.String(required=True, metadata={"enum": QUEUES})
    served_by = fields.Integer(
        required=True, metadata=_described("Living workers that take messages from it.")
    )
    open = fields.Integer(required=True)
    oldest_s = fields.Float(required=True, allow_none=True)
    by_age = fields.List(
        fields.Nested(CommandsByAge),
        required=True,
        metadata=_described("How many are at least so old: each number contains the next one."),
    )


class OldestCommand(Schema):
    id = fields.String(required=True)
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    event_type = fields.String(required=True, metadata={"enum": [*EventType]})
    status = fields.String(required=True, metadata={"enum": [*OPEN]})
    reason = fields.String(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    created_at = Instant(required=True)
    organization_id = fields.String(metadata=_described("For an admin only."))


class CommandsState(Schema):
    open = fields.Integer(required=True)
    held = fields.Integer(required=True, metadata=_described("Held back by the rate budget, of `open`."))
    oldest_s = fields.Float(required=True, allow_none=True)
    by_queue = fields.List(fields.Nested(QueueState), required=True)
    oldest = fields.List(
        fields.Nested(OldestCommand), required=True, metadata=_described("At most 20, oldest first.")
    )


class WorkerState(Schema):
    name = fields.String(required=True)
    host = fields.String(required=True)
    queues = fields.List(fields.String(), required=True, metadata=_described("That it takes messages from."))
    threads = fields.Integer(required=True, metadata=_described("Tasks that it may run at once."))
    busy = fields.Integer(required=True, metadata=_described("Tasks that it runs."))
    tasks_done = fields.Integer(required=True, metadata=_described("Since its start."))
    started_at = Instant(required=True)
    seen_at = Instant(required=True, metadata=_described("Its last report; it reports every 10 s."))
    alive = fields.Boolean(
        required=True,
        metadata=_described("It has reported in the last 30 s. One that has not is shown for an hour."),
    )
    version = fields.String(required=True)


class LinkProcessState(Schema):
    id = fields.String(required=True)
    sessions = fields.Integer(required=True, metadata=_described("Processes of chargers that are connected."))
    seen_at = Instant(required=True)
    alive = fields.Boolean(required=True)


class BudgetState(Schema):
    group = fields.String(
        required=True, metadata=_described("Operations of ECS that share one of its quotas.")
    )
    per_second = fields.Float(required=True, metadata=_described("Calls that all workers together may make."))
    burst = fields.Float(required=True)
    used_per_second = fields.Float(
        required=True, metadata=_described("Calls in the last period of the workers' reports.")
    )
    waiting = fields.Integer(required=True, metadata=_described("Commands that wait for their turn."))
    throttled_10_min = fields.Integer(
        required=True, metadata=_described("Calls that ECS refused as too many, in the last 10 minutes.")
    )
    eta_s = fields.Float(
        required=True, allow_none=True, metadata=_described("Until all that wait have had their turn.")
    )


class WaitingOrganization(Schema):
    organization_id = fields.String(required=True)
    open = fields.Integer(required=True)
    held = fields.Integer(required=True)


class MaintenanceState(Schema):
    task = fields.String(required=True)
    every_s = fields.Float(required=True)
    age_s = fields.Float(
        required=True,
        allow_none=True,
        metadata=_described("Since it last succeeded on any worker; null when it never did."),
    )
    duration_s = fields.Float(required=True, allow_none=True)
    failures = fields.Integer(required=True)
    late = fields.Boolean(required=True)
    error = fields.String(
        required=True,
        allow_none=True,
        metadata=_described("Of the last run, if that failed. For an admin only."),
    )


class LightState(Schema):
    name = fields.String(
        required=True, metadata={"enum": ["database", "broker", "ecs", "logs", "observer", "link"]}
    )
    ok = fields.Boolean(required=True)
    detail = fields.String(required=True)
    since = Instant(
        required=True, allow_none=True, metadata=_described("Since when it is not ok, where that is known.")
    )
    latency_ms = fields.Float(required=True, allow_none=True)


class OperationsState(Schema):
    at = Instant(required=True, metadata=_described("When it was read, at most a second ago."))
    commands = fields.Nested(CommandsState, required=True)
    workers = fields.List(fields.Nested(WorkerState), required=True)
    links = fields.List(fields.Nested(LinkProcessState), required=True)
    budget = fields.List(fields.Nested(BudgetState), required=True)
    waiting_by_organization = fields.List(
        fields.Nested(WaitingOrganization),
        metadata=_described(
            "The 50 organizations with the most held commands. For an admin without an organization."
        ),
    )
    maintenance = fields.List(fields.Nested(MaintenanceState), required=True)
    lights = fields.List(fields.Nested(LightState), required=True)


def body_of(
    service: Service, commands: OpenCommands, timing: Timing, *, is_admin: bool, of_all: bool
) -> dict[str, Any]:
    """What OperationsState dumps. `is_admin` shows what only an admin may see; `of_all`, that the commands are of all organizations."""
    state: dict[str, Any] = {
        "at": service.at,
        "commands": {
            "open": commands.open,
            "held": commands.held,
            "oldest_s": commands.oldest_s,
            "by_queue": [_queue(each, service) for each in commands.by_queue],
            "oldest": [_oldest(each, is_admin=is_admin) for each in commands.oldest],
        },
        "workers": service.workers,
        "links": service.links,
        "budget": service.budget,
        "maintenance": _maintenance(service, timing, with_errors=is_admin),
        "lights": service.lights,
    }
    if of_all:
        state["waiting_by_organization"] = commands.by_organization
    return state


def _oldest(command: OldCommand, *, is_admin: bool) -> dict[str, Any]:
    shown = asdict(command)
    if not is_admin:
        del shown["organization_id"]
    return shown


def _queue(on_queue: OpenOnQueue, service: Service) -> dict[str, Any]:
    return {
        "queue": on_queue.queue,
        "served_by": serving(service.workers, on_queue.queue),
        "open": on_queue.open,
        "oldest_s": on_queue.oldest_s,
        "by_age": [
            {"older_than_s": age_s, "count": count}
            for age_s, count in zip(AGES_S, on_queue.older_than, strict=True)
        ],
    }


def _maintenance(service: Service, timing: Timing, *, with_errors: bool) -> list[dict[str, Any]]:
    runs = {run.task: run for run in service.maintenance}
    shown = []
    for task, every_s in periods_s(timing).items():
        run = runs.get(task)
        age_s = None if run is None else run.age_s
        shown.append(
            {
                "task": task.value,
                "every_s": every_s,
                "age_s": age_s,
                "duration_s": None if run is None else run.duration_s,
                "failures": 0 if run is None else run.failures,
                "late": late_task(task, age_s, timing) is not None,
                "error": run.error if run is not None and with_errors else None,
            }
        )
    return shown
