"""A row of the table of actions: what an action is called, what it takes, what it answers, and what it does."""

import inspect
from asyncio import Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from simulator.actions.charger import Charger
from simulator.actions.fields import Field, read_fields
from simulator.actions.outcome import Outcome

Event = Mapping[str, Any]

#: The result of an action that is done, or the future outcome of one whose answer the CSMS has.
Result = dict[str, Any] | None | Outcome | Future[Outcome]

Function = Callable[[Charger, Event], Result]

#: `result`: a client gets the result. `queued`: it gets the id of the action. `message`: as proxy-message.
Answer = Literal["result", "queued", "message"]
Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of several events that an action takes: the row's first field names it."""

    name: str
    summary: str
    fields: tuple[Field, ...]
    example: Mapping[str, Any]

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "summary": self.summary,
            "fields": [field.describe() for field in self.fields],
            "example": self.example,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    summary: str
    description: str
    function: Function
    fields: tuple[Field, ...] = ()
    variants: tuple[Variant, ...] = ()  #: then `fields` are those of all, and each variant has some of them
    example: Mapping[str, Any]
    answer: Answer = "queued"
    method: Method = "POST"
    path: str
    result_fields: tuple[Field, ...] | None = None
    result_example: Mapping[str, Any] | None = None
    rejected_status: int = 422  #: of HTTP

    def read(self, event: Event) -> dict[str, Any]:
        """The event's fields, checked. Raises BadField."""
        read = read_fields(self.fields, event)
        for variant in self.variants:
            if variant.name == read[self.fields[0].name]:
                return read_fields((self.fields[0], *variant.fields), event)
        return read

    def describe(self) -> dict[str, Any]:
        """For shared/actions.json: all but the function."""
        results = self.result_fields
        return {
            "name": self.name,
            "method": self.method,
            "path": self.path,
            "answer": self.answer,
            "target": "charger_or_location" if self.answer == "queued" else "charger",
            "summary": self.summary,
            "description": self.description,
            "fields": [field.describe() for field in self.fields],
            **({"variants": [variant.describe() for variant in self.variants]} if self.variants else {}),
            "example": self.example,
            "result_fields": None if results is None else [field.describe() for field in results],
            "result_example": self.result_example,
            "rejected_status": self.rejected_status,
        }


def action(
    *fields: Field, example: Mapping[str, Any] | None = None, path: str | None = None, **more: Any
) -> Callable[[Function], Row]:
    """Makes a row of a function, with its name. Its docstring is the summary, and below a blank line the description."""

    def make(function: Function) -> Row:
        summary, _, description = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
        return Row(
            name=function.__name__,
            summary=summary,
            description=" ".join(description.split()),
            function=function,
            fields=fields,
            example=example or {},
            path=path or function.__name__.replace("_", "-"),
            **more,
        )

    return make
