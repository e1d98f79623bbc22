"""Which action a request is: a row's own method and path, and those of the vendor's simulator that differ from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from simulator.actions.fields import Field
from simulator.actions.place import PLACE
from simulator.actions.table import TABLE

Event = dict[str, Any]


def _as_it_is(event: Event) -> Event:
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method and a path that lead to an action."""

    method: str
    path: str
    action: str
    summary: str
    fields: tuple[Field, ...]
    to_event: Callable[[Event], Event] = _as_it_is
    rejected_status: int = 422  #: of HTTP, when the charger or its CSMS says no
    needs_csms: bool = False  #: 503 while the charger is offline
