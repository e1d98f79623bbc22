"""The queries of the fleet's overview."""

from dataclasses import dataclass

from api.http.fields.fields import Query, QueryInteger, Text


@dataclass(frozen=True, slots=True)
class OrganizationsQuery:
    q: str | None  #: a part of the id
    page: int  #: one-based
    limit: int


class OrganizationsQuerySchema(Query):
    record = OrganizationsQuery

    q = Text(
        min_length=1,
        max_length=128,
        load_default=None,
        metadata={"description": "A part of the id, in any case of letters."},
    )
    page = QueryInteger(minimum=1, load_default=1, metadata={"description": "One-based."})
    limit = QueryInteger(minimum=1, maximum=1000, load_default=1000)
