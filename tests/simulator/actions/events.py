"""Hypothesis strategies for the events of actions: as their fields say, or wrong in places."""

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from simulator.actions.fields import Field
from simulator.actions.row import Row, Variant

Strategy = st.SearchStrategy[Any]

DEEP: list[Any] = []
for _ in range(2_000):
    DEEP = [DEEP]

JUNK: Strategy = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        7,
        1e300,
        10**400,
        math.nan,
        math.inf,
        "",
        "\ud800",
        "x" * 3_000,
        [],
        {},
        DEEP,
        {"a": DEEP},
    ]
)
#: What means something, by the field's name.
NAMED: dict[str, Strategy] = {
    "action": st.sampled_from(["heartbeat", "Authorize", "boot_notification", "TransactionEvent", "Reset"]),
    "after": st.sampled_from(["Authorize", "StatusNotification", "Nonsense"]),
    "configuration": st.dictionaries(
        st.sampled_from(["HeartbeatInterval", "AuthCacheCtrlr.Enabled", "NumberOfConnectors", "Nonsense"]),
        st.sampled_from(["30", "true", "false", "", "x"]),
        min_size=1,
    ),
    "connector_id": st.sampled_from([1, 1, 1, 2, 3, 0]),
    "evse_id": st.sampled_from([1, 2, 3]),
    "fault_type": st.sampled_from(["OverCurrent", "ground_failure", "ConnectorLockFailure", "Nonsense"]),
    "id_tag": st.sampled_from(["TAG", "tag", "OTHER", "x" * 30]),
    "key": st.sampled_from(["heartbeatinterval", "AuthCacheCtrlr.Enabled", "AuthorizationKey", "Nonsense"]),
    "list_version": st.integers(0, 9),
    "message": st.sampled_from(["StatusNotification", "meter_values", "LogStatusNotification", "Dance"]),
    "payload": st.sampled_from(
        [{}, {"id_tag": "TAG"}, {"charge_point_vendor": "V", "chargePointModel": "M"}]
    ),
}
TEXTS: Strategy = st.sampled_from(["TAG", "4711", "OverCurrent", "x" * 30])
NUMBERS: Strategy = st.sampled_from([0, 1, 2, 50, 11_000, 5_000_000.5, 10**9])


def events_of(row: Row) -> Strategy:
    """Now and then an event has a field too many, or wrong values."""
    surplus = st.sampled_from([{}] * 39 + [{"surplus": 1}])
    event = st.one_of(_objects(row.fields), st.just(row.example), *map(_events_of_variant, row.variants))
    return st.builds(lambda event, more: {**event, **more}, event, surplus)


def _events_of_variant(variant: Variant) -> Strategy:
    named: Strategy = st.just({"kind": variant.name})
    return st.builds(lambda kind, event: kind | event, named, _objects(variant.fields))


def _objects(fields: Sequence[Field]) -> Strategy:
    values = {field.name: _values(field) for field in fields}
    required = {field.name: values.pop(field.name) for field in fields if field.required}
    return st.fixed_dictionaries(required, optional=values)


def _values(field: Field) -> Strategy:
    right = NAMED[field.name] if field.name in NAMED else _right_values(field)
    return st.integers(0, 39).flatmap(lambda die: JUNK if die == 0 else right)


def _right_values(field: Field) -> Strategy:
    items = _values(field.items) if field.items else TEXTS
    by_type: dict[str, Strategy] = {
        "string": st.sampled_from(field.choices) if field.choices else TEXTS,
        "integer": NUMBERS,
        "number": NUMBERS,
        "boolean": st.booleans(),
        "instant": st.sampled_from(["2030-01-01T12:00:00Z", "2020-01-01T00:00:00Z"]),
        "array": st.lists(items, max_size=3),
        "map": st.dictionaries(TEXTS, items, max_size=3),
        "object": _objects(field.fields),
    }
    return by_type[field.type]
