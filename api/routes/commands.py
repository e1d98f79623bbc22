"""The routes under /ocpp/chargers/{charger_id}/commands: a charger's history. Beyond the contract."""

from uuid import UUID

from flask.typing import ResponseReturnValue

from api.http import schemas
from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.queries import PageQuery, PageQuerySchema, WaitQuery, WaitQuerySchema
from api.http.waits import wait_for
from api.resources import resources
from shared.fleet import commands
from shared.models import Command
from shared.vocabulary import OPEN

operations = Operations(
    "commands",
    __name__,
    url_prefix="/ocpp/chargers/<charger_id:charger_id>/commands",
    access=Access.TENANT,
    description="A charger's commands: what was requested, by whom, and the result. Beyond the contract.",
)


@operations.operation("GET", "", query=PageQuerySchema, answer=schemas.CommandPage)
def list_commands(query: PageQuery, charger_id: str) -> ResponseReturnValue:
    """List a charger's commands

    Newest first. A final command is kept for a limited time (`COMMANDS_KEPT_DAYS`,
    `COMMANDS_KEPT_PER_CHARGER`), a charger's newest command for ever.
    """
    with resources().reads() as session:
        found = commands.list_commands(
            session,
            organization_id=requester().organization_id,
            charger_id=charger_id,
            page=query.page,
            limit=query.limit,
        )
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation("GET", "/<uuid:command_id>", query=WaitQuerySchema, answer=schemas.CommandAnswer)
def get_command(query: WaitQuery, charger_id: str, command_id: UUID) -> Command:
    """Get a command

    `succeeded`, `failed` and `superseded` are final.
    """
    command = _read_command(charger_id, command_id)
    if query.wait_s and command.status in OPEN and wait_for(command_id, query.wait_s):
        command = _read_command(charger_id, command_id)
    return command


def _read_command(charger_id: str, command_id: UUID) -> Command:
    with resources().reads() as session:
        return commands.get_command(
            session,
            organization_id=requester().organization_id,
            charger_id=charger_id,
            command_id=command_id,
        )
