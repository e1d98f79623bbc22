"""What sessions have for the database is written many at a time, and nothing of it is lost on the way."""

import orjson
import pytest
from sqlalchemy.exc import OperationalError

from link.work.batch import Batch


async def test_an_item_that_cannot_be_written_holds_up_no_other() -> None:
    written: list[int] = []

    async def write(items: list[object]) -> None:
        written.extend(orjson.loads(orjson.dumps(items)))

    batch: Batch[int, object] = Batch("numbers", write, pause_s=0)
    for number in (1, 2, object(), 4):
        batch.put(id(number), number)

    await batch.flush()

    assert written == [1, 2, 4]


async def test_what_fails_is_written_later_with_what_has_come_meanwhile() -> None:
    written: list[str] = []
    fails = True

    async def write(items: list[str]) -> None:
        if fails:
            batch.put("a", "newer")
            raise OperationalError("UPDATE", {}, Exception("away"))
        written.extend(items)

    batch: Batch[str, str] = Batch("texts", write, pause_s=0)
    batch.put("a", "older")
    batch.put("b", "only")
    with pytest.raises(OperationalError):
        await batch.flush()
    fails = False

    await batch.flush()

    assert written == ["newer", "only"]
