"""Labels: names with values, which a client gives its chargers and locations to find them again."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

MAX_LABELS = 20  # of one charger or location
MAX_VALUE_LENGTH = 255
NAME = re.compile(r"[A-Za-z0-9_./-]{1,63}")
#: Without control characters, and without the comma, which separates the labels of a filter.
VALUE = re.compile(rf"[^\x00-\x1f\x7f-\x9f,]{{0,{MAX_VALUE_LENGTH}}}")
_ONE = f"{NAME.pattern}(:{VALUE.pattern})?"
FILTER = re.compile(f"{_ONE}(,{_ONE}){{0,{MAX_LABELS - 1}}}")


@dataclass(frozen=True, slots=True)
class Label:
    """What a filter asks of the labels."""

    name: str
    value: str | None  #: None for any value


def read_labels(text: str) -> tuple[Label, ...] | None:
    """The labels of a filter such as `run:1234,smoke`, without duplicates. None if it has another form."""
    if not FILTER.fullmatch(text):
        return None
    parts = (one.partition(":") for one in text.split(","))
    return tuple(dict.fromkeys(Label(name, value if colon else None) for name, colon, value in parts))


def has_labels(labels: Mapping[str, str], wanted: Iterable[Label]) -> bool:
    """Whether all that are wanted are among the labels: the same as `match_labels`."""
    return all(label.name in labels and label.value in {None, labels[label.name]} for label in wanted)


def match_labels(labels: Any, wanted: Sequence[Label] | None) -> list[ColumnElement[bool]]:
    """Conditions on a column of labels: it has all that are wanted."""
    return [
        labels.has_key(label.name) if label.value is None else labels.contains({label.name: label.value})
        for label in wanted or ()
    ]
