"""The table of actions, and the file that the API and the command line read it from."""

import pytest

from scripts.actions import FILE, describe_table
from simulator.actions.row import Row
from simulator.actions.table import TABLE


def test_the_file_has_the_table() -> None:
    assert FILE.read_text() == describe_table(), "run: python -m scripts.actions"


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_row_is_described_and_its_example_is_an_event_of_it(row: Row) -> None:
    assert row.summary.endswith(".")
    assert row.read(row.example) == row.example
    assert (row.result_fields is None) == (row.answer != "result")
