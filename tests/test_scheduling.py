"""The lists of tests/scheduling.py follow the folders and files that they name."""

from pathlib import Path

from tests.scheduling import END_TO_END

ROOT = Path(__file__).parents[1]


def test_every_folder_and_file_that_is_end_to_end_exists() -> None:
    assert [each for each in END_TO_END if not (ROOT / each).exists()] == []


def test_no_folder_or_file_is_named_after_one_that_has_it_already() -> None:
    """It would never be sent to a process of its own."""
    for place, each in enumerate(END_TO_END):
        assert not each.startswith(END_TO_END[:place]), each
