"""Secrets in the events of actions are masked, and nothing else is."""

from typing import Any

import pytest

from shared.fleet.actions.secrets import mask_event
from shared.fleet.actions.table import Field

FIELDS = (
    Field("string", "pin", secret=True),
    Field("object", "car", fields=(Field("string", "key", secret=True), Field("string", "color"))),
)


@pytest.mark.parametrize(
    ("event", "masked"),
    [
        ({"configuration": {"AuthorizationKey": "s3cret"}}, {"configuration": {"AuthorizationKey": "***"}}),
        ({"a": [{"basic_auth_password": "x"}]}, {"a": [{"basic_auth_password": "***"}]}),
        ({"SecurityCtrlr.BasicAuthPassword": "x"}, {"SecurityCtrlr.BasicAuthPassword": "***"}),
        (
            {"a": {"key": "authorizationKEY", "value": "x", "readonly": False}},
            {"a": {"key": "authorizationKEY", "value": "***", "readonly": False}},
        ),
        (
            {"a": [{"variable": {"name": "BasicAuthPassword"}, "attributeValue": "x"}]},
            {"a": [{"variable": {"name": "BasicAuthPassword"}, "attributeValue": "***"}]},
        ),
        (
            {"pin": "1234", "car": {"key": "x", "color": "red"}},
            {"pin": "***", "car": {"key": "***", "color": "red"}},
        ),
        (
            {"a": [{"variable": {"name": "BasicAuthPassword"}, "variableAttribute": [{"value": "x"}]}]},
            {"a": [{"variable": {"name": "BasicAuthPassword"}, "variableAttribute": [{"value": "***"}]}]},
        ),
        ({"password": {"deep": ["x"]}}, {"password": "***"}),
    ],
    ids=str,
)
def test_secrets_are_masked(event: dict[str, Any], masked: dict[str, Any]) -> None:
    assert mask_event(event, FIELDS) == masked


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"id_tag": "TAG-1", "id_token": {"id_token": "TAG-1", "type": "Central"}},
        {"configuration": {"HeartbeatInterval": "30"}},
        {"pin": None, "password": "", "car": {"key": None}},
        {"a": {"key": "HeartbeatInterval", "value": "30"}},
        {"a": [1, 2.5, None, True, "password"]},
    ],
    ids=str,
)
def test_what_is_no_secret_stays_as_it_is(event: dict[str, Any]) -> None:
    assert mask_event(event, FIELDS) == event
