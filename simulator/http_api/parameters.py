"""Reads the fields of an action from a request: query parameters, and the keys of a JSON object in its body."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from starlette.datastructures import QueryParams

from simulator.actions.fields import BadField, Field, FieldType, check

Event = dict[str, Any]


class Problem(NamedTuple):
    """What is wrong with one field."""

    place: str  #: query or body
    field: str | None  #: None: all of it
    message: str
    kind: str

    def describe(self) -> dict[str, Any]:
        loc = [self.place] if self.field is None else [self.place, self.field]
        return {"loc": loc, "msg": self.message, "type": self.kind}


class BadRequest(ValueError):
    """The fields of a request break their rules."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def read_event(fields: Sequence[Field], query: QueryParams, body: bytes) -> Event:
    """The checked event. A field may be in the query or in the body. Raises BadRequest, which names every wrong field."""
    problems: list[Problem] = []
    given = _read_body(body, problems)
    places = dict.fromkeys(given, "body")
    known = {field.name: field for field in fields}
    for name in query:
        places[name] = "query"
        if name in known:
            _read_parameter(known[name], query.getlist(name), given, problems)
    problems += [
        Problem(place, name, f"{name} is no parameter of it", "extra_forbidden")
        for name, place in places.items()
        if name not in known
    ]
    for field in fields:
        _check(field, given, places.get(field.name, "query"), problems)
    if problems:
        raise BadRequest(problems)
    return {name: value for name, value in given.items() if value is not None}


def _read_body(body: bytes, problems: list[Problem]) -> Event:
    if not body.strip():
        return {}
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    problems.append(Problem("body", None, "the body is not a JSON object", "json_invalid"))
    return {}


def _read_parameter(field: Field, texts: Sequence[str], given: Event, problems: list[Problem]) -> None:
    """Puts the value into `given`: a list of the texts for a list of texts, or else the only one."""
    if field.type == "array" and field.items and field.items.type == "string":
        given[field.name] = list(texts)
        return
    if len(texts) > 1 or field.name in given:
        problems.append(Problem("query", field.name, f"{field.name} is there more than once", "value_error"))
        return
    try:
        given[field.name] = READERS[field.type](texts[0])
    except ValueError:
        given.pop(field.name, None)
        kind = f"{field.type}_parsing"
        problems.append(Problem("query", field.name, f"{field.name} is not of type {field.type}", kind))


def _read_integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError
    return int(text)


def _read_boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError from error


#: What a text of the query stands for, by the type of its field.
READERS: dict[FieldType, Callable[[str], Any]] = {
    "string": str,
    "instant": str,
    "integer": _read_integer,
    "number": float,
    "boolean": _read_boolean,
    "array": _read_json,
    "object": _read_json,
    "map": _read_json,
}


def _check(field: Field, given: Event, place: str, problems: list[Problem]) -> None:
    value = given.get(field.name)
    if any(problem.field == field.name for problem in problems):
        return
    if value is not None:
        try:
            check(field, value, field.name)
        except BadField as error:
            problems.append(Problem(place, field.name, str(error), "value_error"))
    elif field.required and (field.name not in given or not field.nullable):
        problems.append(Problem(place, field.name, f"{field.name} is missing", "missing"))
