"""The history of what was asked of a charger, and what became of it. Beyond the contract."""

from typing import Any
from uuid import UUID

from flask.typing import ResponseReturnValue

from api.http import schemas
from api.http.auth import requester
from api.http.examples import COMMAND, page_of
from api.http.operations import Access, Operations
from api.limits.waits import wait_for
from api.resources import resources
from shared.fleet import commands
from shared.models import Command
from shared.vocabulary import OPEN

operations = Operations(
    "commands",
    __name__,
    url_prefix="/ocpp/chargers/<charger_id:charger_id>/commands",
    access=Access.TENANT,
    description="What was asked of a charger, by whom, and what became of it. Beyond the contract.",
)


@operations.operation(
    "GET",
    "",
    query=schemas.PageQuery,
    answer=schemas.CommandPage,
    errors=(401, 403, 404, 422, 500, 503),
    example=page_of(COMMAND),
    summary="List a charger's commands",
    described="Newest first. A command that has ended is kept for a limited time (`COMMANDS_KEPT_DAYS`, "
    "`COMMANDS_KEPT_PER_CHARGER`), a charger's newest command for ever.",
)
def list_commands(query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    with resources().reads() as session:
        found = commands.list_commands(
            session, organization_id=requester().organization_id, charger_id=charger_id, **query
        )
    return {"data": found.rows, "total": found.total, "page": query["page"], "limit": query["limit"]}


@operations.operation(
    "GET",
    "/<uuid:command_id>",
    query=schemas.WaitQuery,
    answer=schemas.CommandAnswer,
    errors=(401, 403, 404, 422, 500, 503),
    example=COMMAND,
    summary="Get a command",
    described="`succeeded`, `failed` and `superseded` are final.",
)
def get_command(query: dict[str, Any], charger_id: str, command_id: UUID) -> Any:
    command = _command(charger_id, command_id)
    if query["wait"] and command.status in OPEN and wait_for(command_id, query["wait"]):
        command = _command(charger_id, command_id)
    return command


def _command(charger_id: str, command_id: UUID) -> Command:
    with resources().reads() as session:
        return commands.get_command(
            session,
            organization_id=requester().organization_id,
            charger_id=charger_id,
            command_id=command_id,
        )
