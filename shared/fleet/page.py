"""A part of a list, with the number of matches over all parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Page(NamedTuple):
    rows: Sequence[Any]
    total: int
