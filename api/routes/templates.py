"""The gallery of location templates. It needs a token, but no organization."""

from flask.typing import ResponseReturnValue

from api.http.document.operations import Access, Operations
from api.http.templates import EXAMPLE, TemplateList, TemplateQuery, TemplateQuerySchema
from shared.fleet.locations.templates import find_templates

operations = Operations(
    "templates",
    __name__,
    url_prefix="/ocpp/templates",
    access=Access.TOKEN,
    description="Sites with their chargers, as they are found in practice. Needs a token, but no organization.",
)


@operations.operation("GET", "/locations", query=TemplateQuerySchema, answer=TemplateList, examples=EXAMPLE)
def list_location_templates(query: TemplateQuery) -> ResponseReturnValue:
    """List location templates

    Each with the chargers that it would make, by group.
    """
    found = find_templates(query.type, query.ocpp_version)
    return {"data": found, "total": len(found)}
