"""The queries that routes take: their schemas, and the frozen dataclass that each becomes.

Field for field the contract's parameters; those beyond it say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, post_load, validates, validates_schema

from api.http.cursors import MAX_LENGTH
from api.http.fields.fields import Choice, Choices, Problem, Query, QueryFlag, QueryInteger, Text
from api.http.fields.label_fields import LabelFilter
from shared.fleet.listing import Filters, Sort, SortKey
from shared.vocabulary import ObservedState, OcppState, OcppVersion, Placement, ProvisioningStatus


@dataclass(frozen=True, slots=True)
class PageQuery:
    page: int  #: one-based
    limit: int


class PageQuerySchema(Query):
    record: type = PageQuery

    page = QueryInteger(minimum=1, load_default=1, metadata={"description": "One-based."})
    limit = QueryInteger(minimum=1, maximum=100, load_default=50)


@dataclass(frozen=True, slots=True)
class WaitQuery:
    wait_s: int  #: at most; 0 does not wait


class WaitQuerySchema(Query):
    record = WaitQuery

    wait = QueryInteger(
        attribute="wait_s",
        minimum=0,
        maximum=60,
        load_default=0,
        metadata={
            "description": "Seconds to hold the answer until it is final, at most. When too many requests wait already, "
            "the answer comes at once, as it is then, with the header `Wait-Skipped: true`. Beyond the contract."
        },
    )


class Until(StrEnum):
    """The event that a request waits for."""

    FINAL = "final"  #: the command is final
    ACCEPTED = "accepted"  #: and the CSMS has accepted the charger's boot


@dataclass(frozen=True, slots=True)
class WaitUntilQuery:
    wait_s: int  #: at most; 0 does not wait
    until: Until


class WaitUntilQuerySchema(WaitQuerySchema):
    until = Choice(
        Until,
        load_default=None,
        metadata={
            "description": "What to wait for: `final` (the default), or `accepted`: the CSMS accepted the boot of the "
            "process that runs then. Needs `wait`. Beyond the contract.",
            "default": str(Until.FINAL),
        },
    )

    @validates_schema
    def _check_until(self, data: dict[str, Any], **_: Any) -> None:
        if data["until"] is not None and not data["wait_s"]:
            problem = Problem("'until' needs 'wait': for how many seconds at most, 1 to 60", "value_error")
            raise ValidationError(problem, "until")

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> WaitUntilQuery:
        return WaitUntilQuery(data["wait_s"], Until(data["until"] or Until.FINAL))


class StopQuerySchema(WaitUntilQuerySchema):
    """A stopped charger has no boot to wait for."""

    until = Choice(
        Until,
        load_default=None,
        metadata={
            "description": "Needs `wait`. Beyond the contract.",
            "enum": [str(Until.FINAL)],
            "default": str(Until.FINAL),
        },
    )

    @validates("until")
    def _check_that_it_can_be(self, until: str | None, **_: Any) -> None:
        if until == Until.ACCEPTED:
            problem = Problem(
                "A charger that stops is not accepted by its CSMS: after a stop, 'until' can be 'final' only",
                "value_error",
            )
            raise ValidationError(problem)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of a list of chargers: by its number, or by a cursor."""

    filters: Filters
    sort: Sort
    limit: int
    page: int  #: one-based; 1 with a cursor
    cursor: str | None  #: empty for the first page; None for numbered pages


PAGE_WITH_CURSOR = Problem("Give a page or a cursor, not both", "value_error")
SORTS = [
    *(f"{sign}{key}" for key in SortKey if key != SortKey.ATTENTION for sign in ("", "-")),
    str(SortKey.ATTENTION),
]

_SEVERAL = "; several by comma"


class FiltersSchema(Query):
    """The filters of a list. A charger is in it if it matches all."""

    record = Filters

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
    attention = QueryFlag(
        metadata={
            "description": "`runtime.attention`: whether the charger needs attention. Beyond the contract."
        }
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
    placement = Choice(
        Placement, metadata={"description": "`runtime.placement`. Beyond the contract.", "example": "shared"}
    )
    host_id = Text(
        min_length=1,
        max_length=64,
        load_default=None,
        metadata={"description": "Only chargers on this host. Beyond the contract."},
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
    labels = LabelFilter(
        load_default=None,
        metadata={
            "description": "`run:1234` has this label, `run` any label of this name. Several by comma: all match. "
            "Beyond the contract."
        },
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Any:
        return filters_of(data)


def filters_of(data: Mapping[str, Any]) -> Filters:
    """The filters among the values that a schema has loaded."""
    return Filters(**{field.name: data.get(field.name) for field in fields_of(Filters)})


class ListQuerySchema(FiltersSchema):
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
            "description": "`state_since` is `runtime.observed_since`; `-` is for descending. `attention`: first those "
            "whose provisioning failed, that start, stop, were never observed, or run without being accepted, then the "
            "others, each by identity. Beyond the contract."
        },
    )

    @validates_schema
    def _check_one_way_to_page(self, data: dict[str, Any], **_: Any) -> None:
        if "cursor" in data and "page" in data:
            raise ValidationError({"page": [PAGE_WITH_CURSOR]})

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ListQuery:
        return ListQuery(
            filters=filters_of(data),
            sort=Sort(SortKey(data["sort"].removeprefix("-")), descending=data["sort"].startswith("-")),
            limit=data["limit"],
            page=data.get("page", 1),
            cursor=data.get("cursor"),
        )
