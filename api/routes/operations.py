"""The route for those who run the service: open commands, workers, the rate budget, what is away. Beyond the contract."""

from typing import Any

from api.http.auth import identity
from api.http.document.operations import Access, Operations
from api.http.operations.answers import OperationsState, body_of
from api.http.operations.examples import EXAMPLES
from api.resources import resources

operations = Operations(
    "operations",
    __name__,
    url_prefix="/ocpp/operations",
    access=Access.SCOPE,
    description="What the service does at the moment, for those who run it. Beyond the contract.",
)


@operations.operation("GET", "", answer=OperationsState, examples=EXAMPLES)
def get_operations() -> dict[str, Any]:
    """Get the state of the service

    The open commands are those of the organization; for an admin who names no organization, those of all of them. Everything
    else is the same for everybody. All figures come from the database and are at most a second old; of the broker
    is checked only whether it takes messages. While the database is away the answer is a 503: `GET /ready` says more.
    """
    shown = resources().operations
    sender = identity()
    return body_of(
        shown.service(),
        shown.commands(sender.organization_id),
        resources().settings.timing,
        is_admin=sender.role == "admin",
        of_all=sender.organization_id is None,
    )
