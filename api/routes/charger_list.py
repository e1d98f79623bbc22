"""The list of chargers: what its query takes, and what a page of it answers."""

from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy.orm import Session

from api.http.cursors import MAX_LENGTH, InvalidCursor, read_cursor, write_cursor
from api.http.fields import Choice, Choices, Problem, Query, QueryInteger, Text
from api.http.parsing import InvalidRequest, item
from api.http.schemas import ChargerAnswer
from shared.fleet.listing import Filters, Sort, SortKey, count_chargers, list_chargers
from shared.vocabulary import ObservedState, OcppState, OcppVersion, ProvisioningStatus

PAGE_WITH_CURSOR = Problem("Give a page or a cursor, not both", "value_error")
BAD_CURSOR = Problem(
    "This is no cursor of this list: sort and filters must be those of the page that it came with",
    "value_error",
)
SORTS = [f"{sign}{key}" for key in SortKey for sign in ("", "-")]


_SEVERAL = "; several by comma"


class ListChargersQuery(Query):
    page = QueryInteger(minimum=1, metadata={"description": "One-based. Not with `cursor`.", "default": 1})
    limit = QueryInteger(minimum=1, maximum=100, load_default=50)
    cursor = Text(
        max_length=MAX_LENGTH,
        metadata={
            "description": "`next_cursor` of the page before, with the same sort and filters; empty for the first "
            "page. Pages by cursor have no `total` and cost the same at any place. Beyond the contract."
        },
    )
    sort = Choice(
        SORTS,
        load_default="-created_at",
        metadata={
            "description": "`state_since` is `runtime.observed_since`; `-` is for descending. Beyond the contract."
        },
    )
    status = Choices(
        ProvisioningStatus,
        load_default=None,
        metadata={"description": f"Of the provisioning{_SEVERAL}. Beyond the contract.", "example": "READY"},
    )
    observed = Choices(
        ObservedState,
        load_default=None,
        metadata={
            "description": f"`runtime.observed`{_SEVERAL}. Beyond the contract.",
            "example": "starting,stopping",
        },
    )
    ocpp_state = Choices(
        OcppState,
        load_default=None,
        metadata={
            "description": f"`runtime.ocpp.state`, the link to the CSMS{_SEVERAL}. Beyond the contract.",
            "example": "disconnected,rejected",
        },
    )
    ocpp_version = Choices(
        OcppVersion,
        load_default=None,
        metadata={
            "description": "One version, or several by comma. Beyond the contract.",
            "example": "OCPP1.6",
        },
    )
    brand_slug = Text(
        min_length=1, max_length=100, load_default=None, metadata={"description": "Beyond the contract."}
    )
    model_slug = Text(
        min_length=1, max_length=100, load_default=None, metadata={"description": "Beyond the contract."}
    )
    location_id = Text(
        min_length=1,
        max_length=128,
        load_default=None,
        metadata={"description": "Only chargers of this location."},
    )
    identity = Text(
        min_length=1,
        max_length=255,
        load_default=None,
        metadata={"description": "The whole identity, so one charger at most. Beyond the contract."},
    )
    q = Text(
        min_length=1,
        max_length=255,
        load_default=None,
        metadata={
            "description": "A part of the identity or of the name, in any case of letters. Beyond the contract."
        },
    )

    @validates_schema
    def _one_way_to_page(self, data: dict[str, Any], **_: Any) -> None:
        if "cursor" in data and "page" in data:
            raise ValidationError({"page": [PAGE_WITH_CURSOR]})


class ChargerPage(Schema):
    data = fields.List(fields.Nested(ChargerAnswer), required=True)
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Matches over all pages. Null on a page by cursor."},
    )
    page = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null on a page by cursor."}
    )
    limit = fields.Integer(required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`cursor` for what follows; null when nothing does. Beyond the contract."},
    )


def read_page(session: Session, organization_id: str, query: dict[str, Any]) -> dict[str, Any]:
    """The page for a ListChargersQuery, as ChargerPage shows it. Raises InvalidRequest for a bad cursor."""
    filters = Filters(**{field.name: query[field.name] for field in fields_of(Filters)})
    sort = Sort(SortKey(query["sort"].removeprefix("-")), descending=query["sort"].startswith("-"))
    scope = {"organization_id": organization_id, **asdict(filters)}
    by_cursor = "cursor" in query
    page, total, after = query.get("page", 1), None, None
    if by_cursor and query["cursor"]:
        try:
            after = read_cursor(query["cursor"], sort, scope)
        except InvalidCursor as error:
            raise InvalidRequest([item(["query", "cursor"], BAD_CURSOR)]) from error
    if not by_cursor:
        total = count_chargers(session, organization_id=organization_id, filters=filters)
    found = list_chargers(
        session,
        organization_id=organization_id,
        filters=filters,
        sort=sort,
        after=after,
        limit=query["limit"],
        offset=(page - 1) * query["limit"],
    )
    return {
        "data": found.rows,
        "total": total,
        "page": None if by_cursor else page,
        "limit": query["limit"],
        "next_cursor": write_cursor(found.after, sort, scope) if found.after else None,
    }
