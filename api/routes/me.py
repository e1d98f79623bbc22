"""The routes /ocpp/me and /ocpp/organizations: who sends the request, and for whom. Beyond the contract."""

from importlib.metadata import version

from flask.typing import ResponseReturnValue

from api.http.auth import identity, require_admin
from api.http.document.operations import Access, Operations
from api.http.fleet import examples
from api.http.fleet.queries import OrganizationsQuery, OrganizationsQuerySchema
from api.http.fleet.schemas import Me, OrganizationPage
from api.resources import resources
from shared.fleet.organizations import list_organizations as read_organizations
from shared.fleet.organizations import usage_of

operations = Operations(
    "me",
    __name__,
    url_prefix="/ocpp",
    access=Access.TOKEN,
    description="The token of the request, and the organizations that it may name. Beyond the contract.",
)


@operations.operation("GET", "/me", answer=Me, examples=examples.ME)
def get_me() -> ResponseReturnValue:
    """Get the token's subject, role and quotas

    Any valid token may. An admin who names an organization gets its quotas.
    """
    who, settings = identity(), resources().settings
    with resources().reads() as session:
        usage = usage_of(session, who.organization_id)
    return {
        "subject": who.subject,
        "role": who.role,
        "organization_id": who.organization_id,
        "expires_at": who.expires_at,
        "server_time": usage.now,
        "version": version("chargehand"),
        "stale_after_s": settings.timing.stale_after_s,
        "flower_url": settings.flower_url or None,
        "csms_url": settings.csms_url or None,
        "quotas": who.organization_id and _quotas(who.organization_id, usage.chargers),
    }


def _quotas(organization_id: str, chargers: int) -> dict[str, dict[str, int]]:
    found, settings = resources(), resources().settings
    return {
        "chargers": {"used": chargers, "allowed": settings.chargers_per_organization},
        "open_commands": {
            "used": found.open_quota.used(organization_id),
            "allowed": settings.open_commands_per_organization,
        },
        "open_actions": {
            "used": found.action_quota.used(organization_id),
            "allowed": settings.open_actions_per_organization,
        },
    }


@operations.operation(
    "GET",
    "/organizations",
    query=OrganizationsQuerySchema,
    answer=OrganizationPage,
    examples=examples.ORGANIZATIONS,
)
def list_organizations(query: OrganizationsQuery) -> ResponseReturnValue:
    """List organizations

    Those that have chargers or had some, by id. For admins.
    """
    require_admin()
    with resources().reads() as session:
        found = read_organizations(session, q=query.q, page=query.page, limit=query.limit)
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}
