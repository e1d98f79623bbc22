"""The environment of a charger, valid and invalid."""

import pytest

from simulator.lifecycle import build_charge_point
from simulator.log import EventLog
from simulator.settings import BadSettings, read_settings

LEAST = {"CHARGER_IDENTITY": "CP-1", "CHARGER_WS_URL": "ws://csms.example/ocpp"}


@pytest.mark.parametrize(
    ("ws_url", "identity", "url"),
    [
        ("ws://csms/ocpp", "CP-1", "ws://csms/ocpp/CP-1"),
        ("ws://csms/ocpp/", "CP-1", "ws://csms/ocpp/CP-1"),
        ("wss://csms:8443", "CP 1/2?é", "wss://csms:8443/CP%201%2F2%3F%C3%A9"),
        ("ws://csms/ocpp?tenant=a", "CP-1", "ws://csms/ocpp/CP-1?tenant=a"),
    ],
)
def test_the_identity_is_the_last_segment_of_the_path(ws_url: str, identity: str, url: str) -> None:
    settings = read_settings({"CHARGER_IDENTITY": identity, "CHARGER_WS_URL": ws_url})

    assert settings.url == url


def test_an_empty_variable_is_an_absent_one_and_the_password_is_not_shown() -> None:
    settings = read_settings({**LEAST, "CHARGER_CONNECTORS": " ", "CHARGER_PASSWORD": "s3cret"})

    assert settings.connectors == 1
    assert settings.password == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("CHARGER_IDENTITY", "x" * 49, "1 to 48 printable characters"),
        ("CHARGER_IDENTITY", "a\nb", "1 to 48 printable characters"),
        ("CHARGER_IDENTITY", "..", "1 to 48 printable characters"),
        ("CHARGER_WS_URL", "ws://", "must be ws://HOST"),
        ("CHARGER_WS_URL", "ws://user:pw@csms/", "must not carry credentials"),
        ("CHARGER_WS_URL", "ws://csms:99999/", "is not a URL"),
        ("CHARGER_WS_URL", "ws://csms:0/", "port 0"),
        ("CHARGER_WS_URL", "ws://csms/#x", "fragment"),
        ("CHARGER_WS_URL", "ws://cs ms/", "without spaces"),
        ("CHARGER_WS_URL", "ws://csms/" + "x" * 2048, "at most 2048"),
        ("CHARGER_CONNECTORS", "0", "from 1 to 100"),
        ("CHARGER_CONNECTORS", "+1", "from 1 to 100"),
        ("CHARGER_MAX_POWER_W", "22kW", "CHARGER_MAX_POWER_W must be a whole number"),
        ("CHARGER_CALL_TIMEOUT_S", "0", "from 0.1 up"),
        ("CHARGER_RETRY_WAIT_S", "nan", "must be a number of seconds"),
        ("CHARGER_RETRY_MAX_S", "10", "must not be below CHARGER_RETRY_RANDOM_S"),
        ("CHARGER_BOOT_ON_RECONNECT", "yes", "must be true or false"),
        ("CHARGER_EV_UNPLUG_S", "later", "must be a number of seconds"),
        ("CHARGER_HTTP_PORT", "70000", "from 0 to 65535"),
        ("CHARGER_HTTP_HOST", "charger.example", "must be an IP address"),
        ("CHARGER_HTTP_TOKEN", "short", "at least 16 ASCII characters"),
        ("CHARGER_HTTP_TOKEN", "with a space in between", "without spaces"),
        ("CHARGER_CONFIGURATION", "[1]", "must be a JSON object"),
        ("CHARGER_CONFIGURATION", "{", "must be a JSON object"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(name: str, value: str, complaint: str) -> None:
    with pytest.raises(BadSettings, match=complaint) as refusal:
        read_settings({**LEAST, name: value})

    assert name in str(refusal.value)


@pytest.mark.parametrize(
    "configuration", ['{"Nonsense": "1"}', '{"HeartbeatInterval": "often"}', '{"NumberOfConnectors": 2}']
)
async def test_a_configuration_that_a_csms_could_not_set_is_refused(configuration: str) -> None:
    settings = read_settings({**LEAST, "CHARGER_CONFIGURATION": configuration})

    with pytest.raises(BadSettings, match="CHARGER_CONFIGURATION"):
        build_charge_point(settings, EventLog(lambda _: None))


async def test_a_configuration_is_set_by_the_name_of_either_version_in_any_letter_case() -> None:
    configuration = '{"heartbeatinterval": 17, "txctrlr.TXSTARTPOINT": "Authorized", "OCPPCommCtrlr.MessageAttempts/TransactionEvent": "5"}'

    charge_point = build_charge_point(
        read_settings({**LEAST, "CHARGER_CONFIGURATION": configuration}), EventLog(lambda _: None)
    )

    assert charge_point.options.number("heartbeat_s") == 17
    assert charge_point.options.members("tx_start_point") == ["Authorized"]
    assert charge_point.options.number("transaction_attempts") == 5
