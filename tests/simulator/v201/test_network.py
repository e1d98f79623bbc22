"""OCPP 2.0.1: network profiles, and the variables of the connection."""

from typing import Any

import pytest

from simulator.link.websocket import retry_delays
from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk, open_talk
from tests.support.csms import Csms, Link, Payload, call201


def profile(url: str, **more: object) -> Payload:
    return {
        "ocpp_version": "OCPP20",
        "ocpp_transport": "JSON",
        "ocpp_csms_url": url,
        "message_timeout": 30,
        "security_profile": 0,
        "ocpp_interface": "Wired0",
        **more,
    }


async def store(link: Link, slot: int, url: str, **more: object) -> Any:
    data = profile(url, **more)
    return await link.call(call201.SetNetworkProfile(configuration_slot=slot, connection_data=data))


async def set_variable(link: Link, name: str, value: str, component: str = "OCPPCommCtrlr") -> str:
    data = {"component": {"name": component}, "variable": {"name": name}, "attribute_value": value}
    (result,) = (await link.call(call201.SetVariables(set_variable_data=[data]))).set_variable_result
    return str(result["attribute_status"])


async def get_variable(link: Link, name: str, instance: str | None = None) -> str:
    variable = {"name": name} | ({"instance": instance} if instance else {})
    data = {"component": {"name": "OCPPCommCtrlr"}, "variable": variable}
    (result,) = (await link.call(call201.GetVariables(get_variable_data=[data]))).get_variable_result
    return str(result["attribute_value"])


@pytest.mark.charger(reboot_s=0.02)
async def test_a_charger_moves_to_the_csms_of_a_profile_when_it_boots(talk: Talk) -> None:
    """B09.FR.01 and B10.FR.01, TC_B_45: stored, put first, and used after the reset."""
    async with Csms() as other:
        assert (await store(talk.link, 2, other.url, message_timeout=7)).status == "Accepted"
        assert await set_variable(talk.link, "NetworkConfigurationPriority", "2,1") == "RebootRequired"
        assert await get_variable(talk.link, "ActiveNetworkProfile") == "1"
        await talk.link.call(call201.Reset(type="Immediate"))

        link = await other.accepted()

        assert link.identity == "CP-1"
        assert await get_variable(link, "ActiveNetworkProfile") == "2"
        assert await get_variable(link, "MessageTimeout", "Default") == "7"


@pytest.mark.charger(reboot_s=0.02, ws_url_deny="all", ws_url_allow="localhost")
@pytest.mark.parametrize(
    ("slot", "url", "more", "code"),
    [
        (0, "ws://localhost/", {}, "ValueOutOfRange"),
        (4, "ws://localhost/", {}, "ValueOutOfRange"),
        (2, "ws://localhost/", {"ocpp_version": "OCPP16"}, "UnsupportedParam"),
        (2, "ws://localhost/", {"ocpp_transport": "SOAP"}, "UnsupportedParam"),
        (2, "ws://localhost/", {"apn": {"apn": "x", "apn_authentication": "AUTO"}}, "UnsupportedParam"),
        (2, "ws://localhost/", {"message_timeout": 0}, "ValueOutOfRange"),
        (2, "ws://localhost/", {"security_profile": 3}, "UnsupportedParam"),
        (2, "ws://localhost/", {"security_profile": 1}, "MissingDevModelInfo"),
        (2, "wss://localhost/", {}, "InvalidURL"),
        (2, "http://localhost/", {}, "InvalidURL"),
        (2, "ws://user:secret@localhost/", {}, "InvalidURL"),
        (2, "ws://169.254.169.254/", {}, "InvalidURL"),
        (2, "ws://elsewhere.example/", {}, "InvalidURL"),
    ],
)
async def test_a_profile_that_the_charger_cannot_or_may_not_use_is_rejected(
    talk: Talk, slot: int, url: str, more: Payload, code: str
) -> None:
    """B09.FR.02, and the operator's rules: no CSMS sends a charger where its operator forbids it."""
    answer = await store(talk.link, slot, url, **more)

    assert (answer.status, answer.status_info["reason_code"]) == ("Rejected", code)
    assert await set_variable(talk.link, "NetworkConfigurationPriority", "2,1") == "Rejected"


@pytest.mark.charger(password="0123456789abcdef")
async def test_a_lower_security_profile_is_rejected(talk: Talk) -> None:
    """A05.FR.02, B09.FR.04."""
    answer = await store(talk.link, 2, talk.csms.url)

    assert (answer.status, answer.status_info["reason_code"]) == ("Rejected", "NoSecurityDowngrade")


@pytest.mark.charger(reboot_s=0.02)
async def test_a_higher_security_profile_replaces_the_lower_one_when_it_is_accepted(talk: Talk) -> None:
    """A05.FR.06 and .07: SecurityProfile follows, and no profile below it is used again."""
    talk.model.options.set("password", "0123456789abcdef")
    await store(talk.link, 2, talk.csms.url, security_profile=1)
    await set_variable(talk.link, "NetworkConfigurationPriority", "2,1")
    await talk.link.call(call201.Reset(type="Immediate"))

    link = await talk.csms.accepted(2)

    assert talk.model.options.text("security_profile") == "1"
    event = "security event ReconfigurationOfSecurityParameters: network profile 2, security profile 1"
    assert event in talk.charger.remarks()
    assert await get_variable(link, "NetworkConfigurationPriority") == "2"
    assert await set_variable(link, "NetworkConfigurationPriority", "2,1") == "Rejected"
    assert (await store(link, 1, talk.csms.url)).status == "Rejected"


@pytest.mark.charger(reboot_s=0.02)
async def test_a_charger_comes_back_to_the_csms_that_accepted_it_last(talk: Talk) -> None:
    """B10.FR.03 and .04: after NetworkProfileConnectionAttempts the next profile, at last the one that worked."""
    await store(talk.link, 2, "ws://127.0.0.1:9/")
    await store(talk.link, 1, "ws://127.0.0.1:10/")
    assert await set_variable(talk.link, "NetworkProfileConnectionAttempts", "2") == "Accepted"
    assert await set_variable(talk.link, "NetworkConfigurationPriority", "2") == "RebootRequired"
    await talk.link.call(call201.Reset(type="Immediate"))

    again = await talk.csms.accepted(2)

    assert again.calls[0].action == "BootNotification"
    refused = [event for event in talk.charger.events if event.get("reason") == "connection_refused"]
    assert len(refused) == 2


async def test_another_csms_gets_a_boot_when_the_first_one_is_gone() -> None:
    """B01: the boot that one CSMS accepted does not count at another."""
    async with Csms() as other, open_talk("OCPP2.0.1") as talk:
        await store(talk.link, 2, other.url)
        await set_variable(talk.link, "NetworkProfileConnectionAttempts", "1")
        await set_variable(talk.link, "NetworkConfigurationPriority", "1,2")
        talk.model.network.restart()
        talk.csms.kill()

        link = await other.accepted()

        assert link.calls[0].action == "BootNotification"


async def test_profiles_survive_a_restart_until_the_settings_name_another_csms(tmp_path: object) -> None:
    file = f"{tmp_path}/state.json"
    async with Csms() as first, Csms() as second, Csms() as third:
        async with LocalCharger(first.url, "OCPP2.0.1", state_file=file) as charger:
            link = await first.accepted()
            await store(link, 3, second.url)
            await set_variable(link, "NetworkConfigurationPriority", "3,1")
            assert charger.model.network.profile.slot == 1
        async with LocalCharger(first.url, "OCPP2.0.1", state_file=file):
            await second.accepted()
        async with LocalCharger(third.url, "OCPP2.0.1", state_file=file):
            link = await third.accepted()
            assert await get_variable(link, "NetworkConfigurationPriority") == "1"


@pytest.mark.charger(reboot_s=0.02)
async def test_a_profile_sets_the_time_for_an_answer(talk: Talk) -> None:
    """MessageTimeout is a part of the profile (NetworkConnectionProfileType)."""
    async with Csms() as other:
        other.raw_answers["BootNotification"] = None
        await store(talk.link, 2, other.url, message_timeout=1)
        await set_variable(talk.link, "NetworkConfigurationPriority", "2")
        await talk.link.call(call201.Reset(type="Immediate"))

        await talk.charger.event(
            lambda event: "BootNotification failed: NoAnswer" in event.get("message", "")
        )


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, [1, 2, 4, 8, 16, 20, 20]),
        ({"RetryBackOffRepeatTimes": "2"}, [1, 2, 4, 4, 4, 4, 4]),
        ({"RetryBackOffWaitMinimum": "3", "RetryBackOffRepeatTimes": "1"}, [3, 6, 6, 6, 6, 6, 6]),
    ],
)
@pytest.mark.charger(retry_wait_s=1, retry_random_s=0, retry_max_s=20)
async def test_the_waits_before_a_reconnect_follow_the_variables(
    talk: Talk, changes: dict[str, str], waits: list[float]
) -> None:
    """Part 4, 5.3: RetryBackOffWaitMinimum, doubled RetryBackOffRepeatTimes times."""
    assert await get_variable(talk.link, "RetryBackOffRepeatTimes") == "5"
    for name, value in changes.items():
        assert await set_variable(talk.link, name, value) == "Accepted"

    delays = retry_delays(talk.model.network.settings())

    assert [next(delays) for _ in waits] == waits


async def test_the_random_part_of_a_wait_is_up_to_its_variable(talk: Talk) -> None:
    assert await set_variable(talk.link, "RetryBackOffRandomRange", "7") == "Accepted"

    assert talk.model.network.settings().retry_random_s == 7
