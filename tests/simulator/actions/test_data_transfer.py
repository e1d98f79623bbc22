"""The data of actions of drivers and cars."""

import json
from typing import Any

import pytest

from tests.simulator.unconnected import Unconnected


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("PresentToken", {}),
        ("PresentToken", {"idToken": ""}),
        ("PresentToken", {"idToken": 5}),
        ("PresentToken", {"idToken": None}),
        ("PresentToken", {"idToken": "TAG", "type": "RFID"}),
        ("PresentToken", {"idToken": "TAG", "type": []}),
        ("PlugIn", {"connector": True}),
        ("PlugIn", {"connector": 1.0}),
        ("PlugIn", {"connector": 3}),
        ("PlugIn", []),
    ],
)
async def test_an_action_with_impossible_data_is_refused(charger: Unconnected, name: str, data: Any) -> None:
    before = charger.model.data_transfer.perform("State", None)

    assert charger.model.data_transfer.perform(name, json.dumps(data)).status == "Rejected"

    assert charger.model.data_transfer.perform("State", None) == before
    assert not any(message.action == "Authorize" for message in charger.model.delivery.outbox._messages)


@pytest.mark.parametrize("data", ["[" * 50_000, '{"fault":' + "[" * 985 + "]" * 985 + "}"])
async def test_an_action_with_deeply_nested_data_is_refused(charger: Unconnected, data: str) -> None:
    assert charger.model.data_transfer.perform("Fault", data).status == "Rejected"
