"""The links of the OpenAPI document: which operations go on from an answer, and with which of its values.

https://spec.openapis.org/oas/v3.1.0#link-object
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SCHEMAS = "#/components/schemas/"


class Link(NamedTuple):
    operation_id: str
    parameters: Mapping[str, str]  #: runtime expressions, by the parameter's name
    description: str


def _of_body(name: str) -> str:
    return f"$response.body#/{name}"


def _of_path(name: str) -> str:
    return f"$request.path.{name}"


_JOB = {"job_id": _of_body("job_id")}
_CREATED = {"charger_id": _of_body("charger_id")}
_LOCATION = {"location_id": _of_body("id")}
_OF_JOB = (
    Link("get_job", _JOB, "How far the job is; with `wait`, when it is final."),
    Link("list_job_items", _JOB, "What became of each of its chargers."),
    Link("get_job_report", _JOB, "How long its chargers took, and how their CSMS answered."),
    Link("cancel_job", _JOB, "Leaves the chargers as they are whose commands are not recorded yet."),
)

#: By the schema of the answer.
LINKS: Mapping[str, tuple[Link, ...]] = {
    "ChargerAccepted": (
        Link("get_charger", _CREATED, "The charger."),
        Link(
            "get_charger_status",
            _CREATED,
            "How far its provisioning is; with `wait`, when it is READY or FAILED.",
        ),
        Link(
            "get_command",
            {**_CREATED, "command_id": _of_body("command_id")},
            "The command that creates it; with `wait`, when it is final.",
        ),
        Link("list_charger_logs", _CREATED, "Its frames."),
    ),
    "QueuedCommand": (
        Link(
            "get_command",
            {"charger_id": _of_path("charger_id"), "command_id": _of_body("command_id")},
            "The command; with `wait`, when it is final.",
        ),
        Link("get_charger", {"charger_id": _of_path("charger_id")}, "The charger."),
    ),
    "QueuedAction": (Link("get_action", {"action_id": _of_body("id")}, "The action, and its result."),),
    "JobAccepted": _OF_JOB,
    "ChargersAccepted": (
        Link(
            "get_location_chargers_job",
            {"location_id": _of_path("location_id"), **_JOB},
            "The chargers that were created, and why not the others; with `wait`, when the job is final.",
        ),
        *_OF_JOB,
    ),
    "LocationCreated": (
        Link("get_location", _LOCATION, "The location, with the numbers of its chargers by state."),
        Link("create_location_chargers", _LOCATION, "Creates chargers in it."),
        Link("wait_for_location", _LOCATION, "Waits until the CSMS has accepted its chargers."),
        Link("delete_location", _LOCATION, "Deletes it with its chargers."),
    ),
}


def add_links(document: dict[str, Any]) -> None:
    """Add LINKS to the answers of the document. Safe to repeat."""
    for response in _answers(document):
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        links = LINKS.get(schema.get("$ref", "").removeprefix(SCHEMAS), ())
        if links:
            response["links"] = {
                link.operation_id: {
                    "operationId": link.operation_id,
                    "parameters": dict(link.parameters),
                    "description": link.description,
                }
                for link in links
            }


def _answers(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The responses of every operation that are written out, not shared."""
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                yield from (each for each in operation.get("responses", {}).values() if "$ref" not in each)
