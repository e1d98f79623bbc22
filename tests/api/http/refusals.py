"""What the tests of refused requests check."""

from collections.abc import Sequence
from typing import Any

JSON = "application/json"


def assert_items(answer: Any, *expected: tuple[Sequence[str | int], str]) -> None:
    """422 with these items, each as the contract has it."""
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == JSON
    assert [(item["loc"], item["type"]) for item in answer.json["detail"]] == list(expected)
    for item in answer.json["detail"]:
        assert item.keys() <= {"loc", "msg", "type", "ctx"}
        assert isinstance(item["msg"], str)
        assert item["msg"]


def assert_plain(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == JSON
    assert isinstance(answer.json["detail"], str)
    assert answer.json["detail"]
