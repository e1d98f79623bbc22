"""Whatever a request holds, it gets one of the declared answers, and the charger logs no fault."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.http_api.app import build_app
from simulator.http_api.operations import OPERATIONS, Operation
from tests.simulator.unconnected import Unconnected

TEXTS = st.one_of(
    st.text(max_size=30),
    st.integers(-3, 2**40).map(str),
    st.floats().map(str),
    st.sampled_from(["CARD-1", "true", "[]", "{}", '[{"id_tag": "A"}]', '{"a": {"b": [1]}}', "[" * 3000]),
)
CONTENTS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(), st.floats(), TEXTS, st.lists(TEXTS, max_size=2)
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Operation, list[tuple[str, str]], dict[str, Any] | None]:
    operation = draw(st.sampled_from(OPERATIONS))
    names = [field.name for field in operation.fields] + ["other"]
    query = draw(st.lists(st.tuples(st.sampled_from(names), TEXTS), max_size=4))
    body = draw(st.one_of(st.none(), st.dictionaries(st.sampled_from(names), CONTENTS, max_size=4)))
    return operation, query, body


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
def test_any_request_has_one_of_the_declared_answers(version: str) -> None:
    @settings(max_examples=80, deadline=None)
    @given(st.lists(requests(), min_size=1, max_size=5))
    def check(sequence: list[tuple[Operation, list[tuple[str, str]], dict[str, Any] | None]]) -> None:
        asyncio.run(send(sequence))

    async def send(sequence: list[tuple[Operation, list[tuple[str, str]], dict[str, Any] | None]]) -> None:
        charger = Unconnected(version)
        charger.model.power_on()
        transport = httpx.ASGITransport(build_app(charger.model, asyncio.Event()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for operation, query, body in sequence:
                content = json.dumps(body) if body and operation.method == "POST" else None
                parameters = httpx.QueryParams([*query])
                answer = await client.request(
                    operation.method, operation.path, params=parameters, content=content
                )
                check_answer(operation, answer)
        charger.model.timers.cancel_all()
        assert not any("could not be performed" in remark for remark in charger.remarks)

    check()


def check_answer(operation: Operation, answer: httpx.Response) -> None:
    content = answer.json()
    match answer.status_code:
        case 200:
            assert isinstance(content, dict)
        case 422:
            assert all({"loc", "msg", "type"} <= problem.keys() for problem in content["detail"])
        case status:
            assert status in {operation.rejected_status, 503 if operation.needs_csms else None}
            assert isinstance(content["detail"], str)
