"""Which action a request is: a row's own method and path, and those of the vendor's simulator that differ from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulator.actions.fields import Field
from simulator.actions.place import PLACE
from simulator.actions.row import Row
from simulator.actions.table import TABLE

Event = dict[str, Any]


def _unchanged(event: Event) -> Event:
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method and a path that lead to an action."""

    method: str
    path: str
    action: str
    summary: str
    fields: tuple[Field, ...]
    to_event: Callable[[Event], Event] = _unchanged
    rejected_status: int = 422  #: of HTTP, when the charger or its CSMS says no
    needs_csms: bool = False  #: 503 while the charger is offline


def _operation_of(row: Row) -> Operation:
    return Operation(
        method=row.method, path=f"/{row.path}", action=row.name, summary=row.summary, fields=row.fields
    )


def _alias(path: str, action: str, **changes: Any) -> Operation:
    """As the action's own operation, at another path and with these changes."""
    return replace(_operation_of(TABLE[action]), path=path, **changes)


def _without_power(event: Event) -> Event:
    """The vendor's client may leave it out: then the car draws what it can."""
    return {"power_w": None, **event}


POWER = tuple(replace(field, required=False) for field in TABLE["power_update"].fields)

#: Operations of the vendor's simulator that are not a row's own (contract-charger.md).
VENDORS = (
    _alias("/power-update", "power_update", fields=POWER, to_event=_without_power),
    _alias("/suspend-ev", "ev_stops_energy"),
    _alias("/resume-ev", "ev_requests_energy"),
    _alias("/simulate-fault", "inject_fault"),
    _alias(
        "/fault", "inject_fault", fields=PLACE, to_event=lambda event: {"fault_type": "OtherError", **event}
    ),
    _alias("/fault/clear", "clear_fault"),
)

#: The status of a rejection where it is not 422, by method and path.
REJECTED: Mapping[tuple[str, str], int] = {
    ("GET", "/ev-state"): 404,
    ("POST", "/update-soc"): 404,
    ("GET", "/fault-status"): 400,
    ("POST", "/fault"): 400,
    ("POST", "/fault/clear"): 400,
    ("POST", "/stop-transaction"): 400,
    ("POST", "/authorize-and-start"): 400,
    ("GET", "/local-auth-list/version"): 400,
    ("POST", "/local-auth-list"): 400,
    ("POST", "/provisioning/trigger-message"): 400,
    ("POST", "/provisioning/reboot"): 400,
    ("POST", "/proxy-message"): 400,
}

#: What answers 503 while the charger is offline.
NEEDS_CSMS = frozenset({"/authorize-id-tag", "/provisioning/trigger-message"})


def _operations() -> tuple[Operation, ...]:
    """By method and path, each once: the vendor's meaning counts."""
    by_request = {
        (operation.method, operation.path): operation
        for operation in (*map(_operation_of, TABLE.values()), *VENDORS)
    }
    return tuple(
        replace(
            operation,
            rejected_status=REJECTED.get(request, 422),
            needs_csms=operation.path in NEEDS_CSMS,
        )
        for request, operation in sorted(by_request.items(), key=lambda item: item[0][::-1])
    )


OPERATIONS = _operations()
