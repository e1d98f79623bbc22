"""Which action a request is: a row's own method and path, and those of the vendor's simulator that differ from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulator.actions.fields import Field
from simulator.actions.place import PLACE
from simulator.actions.row import Row
from simulator.actions.table import TABLE
from simulator.actions.tokens import ID_TAG

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
    shows_verdict: bool = False  #: 200 also for a no that has a result: who asks for a verdict gets it
    needs_csms: bool = False  #: 503 while the charger is offline


def _operation_of(row: Row) -> Operation:
    return Operation(
        method=row.method, path=f"/{row.path}", action=row.name, summary=row.summary, fields=row.fields
    )


def _of(action: str, path: str | None = None, **changes: Any) -> Operation:
    """The action's own operation with these changes."""
    own = _operation_of(TABLE[action])
    return replace(own, path=path or own.path, **changes)


def _without_power(event: Event) -> Event:
    """Without `power_w` the car draws what it can."""
    return {"power_w": None, **event}


POWER = tuple(replace(field, required=False) for field in TABLE["power_update"].fields)


def _without_type(event: Event) -> Event:
    return {"fault_type": "OtherError", **event}


KEY = Field(name="key", type="string", required=True, min_length=1, max_length=100)
VALUE = Field(name="value", type="string", required=True, max_length=2500)


def _one_key(event: Event) -> Event:
    return {"configuration": {event["key"]: event["value"]}}


ID_TAGS = Field(name="id_tags", type="array", items=ID_TAG, max_length=1000)
LIST = (
    *(replace(field, required=field.name == "list_version") for field in TABLE["local_auth_list"].fields),
    ID_TAGS,
)


def _with_entries(event: Event) -> Event:
    """A list of `id_tags` stands for entries that are Accepted."""
    tags = event.pop("id_tags", [])
    return event | {"entries": [*event.get("entries", []), *({"id_tag": tag} for tag in tags)]}


#: Operations of the vendor's simulator that are not a row's own (contract-charger.md).
VENDORS = (
    _of("power_update", fields=POWER, to_event=_without_power),
    _of("ev_stops_energy", "/suspend-ev"),
    _of("ev_requests_energy", "/resume-ev"),
    _of("inject_fault", "/simulate-fault"),
    _of("inject_fault", "/fault", fields=PLACE, to_event=_without_type),
    _of("clear_fault", "/fault/clear"),
    _of("configuration", fields=(KEY, VALUE), to_event=_one_key, shows_verdict=True),
    _of("local_auth_list", fields=LIST, to_event=_with_entries),
    _of("trigger_message", "/provisioning/trigger-message"),
    _of("reboot", "/provisioning/reboot"),
    _of("authorize_id_tag", shows_verdict=True),
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
