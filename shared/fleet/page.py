"""A numbered page of a list, with the number of matches over all pages."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

Row = TypeVar("Row")


class Page(NamedTuple, Generic[Row]):
    rows: Sequence[Row]
    total: int
