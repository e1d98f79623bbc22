"""The local authorization list."""

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.row import Event, Result, action
from simulator.actions.tokens import ID_TAG, read_token
from simulator.clock import format_time, parse_time
from simulator.station.authorization import TokenInfo

STATUSES = ("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx")

ENTRY = (
    ID_TAG,
    Field(name="expiry_date", type="instant", nullable=True),
    Field(name="parent_id_tag", type="string", nullable=True, min_length=1, max_length=36),
    Field(
        name="status",
        type="string",
        nullable=True,
        choices=STATUSES,
        description="Accepted unless it is given.",
    ),
)
ENTRIES = Field(name="entries", type="array", required=True, items=Field(type="object", fields=ENTRY))

MUTATION = (
    Field(name="status", type="string", nullable=True),
    Field(name="list_version", type="integer", nullable=True, description="From now on."),
    Field(name="entries_received", type="integer", nullable=True),
    Field(name="msg", type="string", nullable=True),
    Field(name="entries_deleted", type="integer", nullable=True),
)


@action(
    Field(
        name="list_version",
        type="integer",
        required=True,
        minimum=1,
        maximum=2**31 - 1,
        description="Greater than the version that the charger has.",
    ),
    Field(
        name="entries",
        type="array",
        required=True,
        max_length=1000,
        items=Field(type="object", fields=ENTRY),
    ),
    Field(
        name="update_type",
        type="string",
        nullable=True,
        choices=("Full", "Differential"),
        description="Full, which replaces the list, unless it is given.",
    ),
    example={"list_version": 2, "entries": [{"id_tag": "CARD-1"}, {"id_tag": "CARD-2"}]},
    answer="result",
    rejected_status=400,
    result_fields=MUTATION,
    result_example={
        "status": "Accepted",
        "list_version": 2,
        "entries_received": 2,
        "msg": "Local authorization list updated",
        "entries_deleted": None,
    },
)
def local_auth_list(charger: Charger, event: Event) -> Result:
    """The charger gets a local authorization list, as by SendLocalList.

    A version that does not grow is rejected. An empty list has version 0.
    """
    if event["list_version"] <= charger.authorizer.list_version:
        raise Rejected(f"list_version is not greater than {charger.authorizer.list_version}")
    entries = [(read_token(charger, each).value, _info(each)) for each in event["entries"]]
    _update(charger, event["list_version"], entries, full=event.get("update_type") != "Differential")
    return _describe(charger, "Local authorization list updated", received=len(entries))


def _update(
    charger: Charger, version: int, entries: Sequence[tuple[str, TokenInfo | None]], *, full: bool = False
) -> None:
    """Raises Rejected for an update that the charger would refuse to its CSMS."""
    if not charger.options.flag("local_list_enabled"):
        raise Rejected("the local authorization list is off")
    if len({name.lower() for name, _ in entries}) < len(entries):
        raise Rejected("entries name an id_tag twice")
    status = charger.authorizer.update_list(version, entries, full=full)
    if status != "Accepted":
        limit = charger.options.number("local_list_max")
        raise Rejected(f"the charger's answer is {status}; the list holds at most {limit} entries")
    charger.keep_state()


def _info(entry: Mapping[str, Any]) -> TokenInfo:
    expiry = entry.get("expiry_date")
    return TokenInfo(
        entry.get("status") or "Accepted",
        entry.get("parent_id_tag"),
        parse_time(expiry) if expiry else None,
    )


def _describe(
    charger: Charger, msg: str, *, received: int | None = None, deleted: int | None = None
) -> dict[str, Any]:
    return {
        "status": "Accepted",
        "list_version": charger.authorizer.list_version,
        "entries_received": received,
        "msg": msg,
        "entries_deleted": deleted,
    }


@action(
    answer="result",
    result_fields=MUTATION,
    result_example={
        "status": "Accepted",
        "list_version": 0,
        "entries_received": None,
        "msg": "Local authorization list cleared",
        "entries_deleted": 2,
    },
)
def clear_local_auth_list(charger: Charger, event: Event) -> Result:
    """All entries of the local authorization list are removed, and its version is 0."""
    deleted = len(charger.authorizer.local_list)
    _update(charger, charger.authorizer.list_version + 1, [], full=True)
    return _describe(charger, "Local authorization list cleared", deleted=deleted)


@action(
    *ENTRY,
    example={"id_tag": "CARD-3", "status": "Blocked"},
    path="local-auth-list/entry",
    answer="result",
    result_fields=MUTATION,
    result_example={
        "status": "Accepted",
        "list_version": 3,
        "entries_received": 1,
        "msg": "CARD-3 is in the local authorization list",
        "entries_deleted": None,
    },
)
def add_local_auth_list_entry(charger: Charger, event: Event) -> Result:
    """A token is added to the local authorization list, or replaced in it. The version grows by 1."""
    token = read_token(charger, event)
    _update(charger, charger.authorizer.list_version + 1, [(token.value, _info(event))])
    return _describe(charger, f"{token.value} is in the local authorization list", received=1)


@action(
    ID_TAG,
    example={"id_tag": "CARD-3"},
    method="DELETE",
    path="local-auth-list/entry",
    answer="result",
    result_fields=MUTATION,
    result_example={
        "status": "Accepted",
        "list_version": 4,
        "entries_received": None,
        "msg": "CARD-3 is removed from the local authorization list",
        "entries_deleted": 1,
    },
)
def delete_local_auth_list_entry(charger: Charger, event: Event) -> Result:
    """A token is removed from the local authorization list. The version grows by 1; an empty list has version 0."""
    token = read_token(charger, event)
    if token.value.lower() not in charger.authorizer.local_list:
        raise Rejected(f"id_tag {token.value} is not in the local authorization list")
    _update(charger, charger.authorizer.list_version + 1, [(token.value, None)])
    return _describe(charger, f"{token.value} is removed from the local authorization list", deleted=1)


VERSION = Field(name="list_version", type="integer", required=True, description="0: there is no list.")


@action(
    method="GET",
    path="local-auth-list",
    answer="result",
    result_fields=(VERSION, ENTRIES),
    result_example={
        "list_version": 2,
        "entries": [{"id_tag": "card-1", "status": "Accepted", "expiry_date": None, "parent_id_tag": None}],
    },
)
def get_local_auth_list(charger: Charger, event: Event) -> Result:
    """The local authorization list, its tokens in lower case."""
    return {
        "list_version": charger.authorizer.list_version,
        "entries": describe_entries(charger.authorizer.local_list),
    }


@action(
    method="GET",
    path="local-auth-list/version",
    answer="result",
    result_fields=(VERSION,),
    result_example={"list_version": 2},
)
def get_local_auth_list_version(charger: Charger, event: Event) -> Result:
    """The version of the local authorization list."""
    return {"list_version": charger.authorizer.list_version}


def describe_entries(known: Mapping[str, TokenInfo]) -> list[dict[str, Any]]:
    return [
        {
            "id_tag": name,
            "status": info.status,
            "expiry_date": None if info.expires_at is None else format_time(info.expires_at),
            "parent_id_tag": info.group,
        }
        for name, info in known.items()
    ]
