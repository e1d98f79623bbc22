"""What a CSMS has sent becomes JSON that every reader takes."""

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.control.frames import batch
from simulator.plain_json import plain_text

TEXTS = st.text() | st.sampled_from(["\ud800", "a\udfffb", "\0", "😀"])
NUMBERS = st.floats() | st.integers() | st.sampled_from([10**400, -(10**400), 2**63, math.nan])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(TEXTS, parts, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_any_value_becomes_json_that_a_strict_reader_and_postgresql_take(value: Any) -> None:
    text = plain_text(value)

    assert "\\u0000" not in text.replace("\\\\", "")
    assert orjson.loads(text) == json.loads(text)


@pytest.mark.parametrize("value", [True, 7, -1.5, "grün 😀", "NaN", "\\ud800", {"a": [None, {}]}])
def test_a_plain_value_stays_as_it_is(value: Any) -> None:
    assert json.loads(plain_text(value)) == value


def test_a_memory_with_a_csms_s_odd_text_fits_into_a_frame() -> None:
    (frame,) = batch("memories", [{"charger": "dep-1", "memory": {"local_list": {"\ud800": 10**400}}}])

    assert orjson.loads(frame)["memories"][0]["memory"] == {"local_list": {"\ufffd": None}}
