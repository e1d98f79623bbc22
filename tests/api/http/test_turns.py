"""A long body and a long answer let other requests go on meanwhile."""

import gevent
import pytest

from api.http.fields.fields import Text
from api.http.fields.json_fields import Array
from api.http.turns import TURN, in_turns

LONG = ["a"] * (10 * TURN)


@pytest.mark.parametrize(
    "read",
    [lambda: list(in_turns(LONG)), lambda: Array(Text(max_length=1), max_length=len(LONG)).deserialize(LONG)],
)
def test_others_run_between_the_items_of_a_long_list(read: object) -> None:
    turns: list[int] = []

    def other() -> None:
        while not reading.ready():
            turns.append(1)
            gevent.sleep(0)

    reading = gevent.spawn(read)
    gevent.joinall([reading, gevent.spawn(other)], raise_error=True)

    assert reading.value == LONG
    assert len(turns) >= 9
