"""docs/compatibility.md lists every operation of the installed SDK, with its true state."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from ocpplab.core.api_error import ApiError

from api.app import create_app
from api.routes.not_implemented import NOT_IMPLEMENTED
from shared.settings import Settings
from tests.contract.http.conftest import Sdk
from tests.contract.http.operations import Operation, operations
from tests.support.http import PLAIN_HTTP

PAGE = (Path(__file__).parents[3] / "docs" / "compatibility.md").read_text()
ROW = re.compile(r"^\| `([\w.]+)` \| `([A-Z]+) (\S+)` \| (.+) \|$", re.MULTILINE)
STATE = re.compile(r"works|differs: \d+(, \d+)*|not yet: 501")
ROWS = {Operation(call, method, path): state for call, method, path, state in ROW.findall(PAGE)}
NOT_YET = "not yet: 501"
ANY = re.compile(r"<[^>]+>|\{[^}]+\}")


@pytest.fixture
def routes(settings: Settings) -> set[tuple[str, str]]:
    """Those that do something, as method and path with `{}` for each parameter."""
    app = create_app(settings)
    app.extensions["chargehand"].pools.dispose()
    return {
        (method, ANY.sub("{}", rule.rule))
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("not_implemented.")
        for method in rule.methods or ()
    }


def test_the_page_has_a_row_for_each_operation_of_the_sdk_and_no_other() -> None:
    assert set(ROWS) == set(operations())
    assert len(ROWS) == len(ROW.findall(PAGE))


def test_each_row_has_one_of_the_three_states() -> None:
    assert [state for state in ROWS.values() if not STATE.fullmatch(state)] == []


def test_what_works_has_a_route_and_what_does_not_has_one_that_says_so(routes: set[tuple[str, str]]) -> None:
    missing = {(operation.method, ANY.sub("{}", operation.path)) for operation in NOT_IMPLEMENTED}
    state = {(row.method, ANY.sub("{}", row.path)): state for row, state in ROWS.items()}

    assert {route for route, said in state.items() if said == NOT_YET} == missing
    assert {route for route, said in state.items() if said != NOT_YET} <= routes
    assert missing.isdisjoint(routes)


def test_all_operations_of_chargers_and_locations_are_available() -> None:
    ours = {row: state for row, state in ROWS.items() if row.path.startswith("/ocpp/")}

    assert len(ours) == 42
    assert NOT_YET not in ours.values()


def test_every_difference_is_listed_and_belongs_to_an_operation() -> None:
    _, _, differences = PAGE.partition("\n## Differences\n")
    listed = re.findall(r"^(\d+)\. ", differences, re.MULTILINE)
    named = {number for state in ROWS.values() for number in re.findall(r"\d+", state) if state != NOT_YET}

    assert listed == [str(number) for number in range(1, len(listed) + 1)]
    assert named == set(listed)


def test_the_page_names_the_version_of_the_sdk_that_is_tried_here() -> None:
    assert f"`ocpplab` {version('ocpplab')}" in PAGE


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        ("ocpi_cpos.list", {}, "List CPOs"),
        ("ocpi_cpos.get_status", {"cpo_id": "1"}, "Get CPO status"),
        ("ocpi_templates.list", {}, "List CPO templates"),
    ],
)
def test_a_missing_operation_is_a_501_in_the_sdk_too(sdk: Sdk, call: str, arguments: Any, name: str) -> None:
    with pytest.raises(ApiError) as raised:
        sdk(call, **arguments)

    assert raised.value.status_code == 501
    assert raised.value.body == {
        "detail": f"{name} is not available in Chargehand yet: /docs/compatibility.md lists what is"
    }
    page = httpx.get(f"{sdk.base_url}/docs/compatibility.md", **PLAIN_HTTP)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    assert page.text == PAGE


@pytest.mark.usefixtures("backend")
def test_no_body_is_read_for_what_is_not_there_but_its_methods_are_known(sdk: Sdk) -> None:
    headers = {"Authorization": f"Bearer {sdk.token}", "Content-Type": "application/json"}
    url = f"{sdk.base_url}/ocpi/cpos"

    answers = [
        httpx.request(method, url, headers=headers, content=b"{no json", **PLAIN_HTTP)
        for method in ("POST", "PATCH")
    ]

    assert [answer.status_code for answer in answers] == [501, 405]
    assert set(answers[1].headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
