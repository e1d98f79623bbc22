"""Actions on the configuration, the cache, the local list, and the power of the whole charger."""

from typing import Any

import pytest

from tests.simulator.talk import Talk
from tests.simulator.unconnected import Unconnected
from tests.support.waiting import wait_until_async


async def perform(charger: Unconnected, action: str, **event: Any) -> Any:
    """The result, or the reason of a rejection."""
    outcome = await charger.model.actions.perform(action, event)
    return outcome.result if outcome.status == "applied" else outcome.reason


async def test_a_configuration_has_a_status_for_each_key(charger: Unconnected) -> None:
    values = {
        "heartbeatinterval": "30",
        "AuthCacheCtrlr.Enabled": "false",
        "NumberOfConnectors": "9",
        "Nonsense": "1",
    }

    result = await perform(charger, "configuration", configuration=values)

    assert result["statuses"] == {
        "heartbeatinterval": "Accepted",
        "AuthCacheCtrlr.Enabled": "Accepted",
        "NumberOfConnectors": "Rejected",
        "Nonsense": "NotSupported",
    }
    assert (result["status"], result["configured"]) == (
        "Rejected",
        ["heartbeatinterval", "AuthCacheCtrlr.Enabled"],
    )
    assert charger.model.options.number("heartbeat_s") == 30
    assert (
        await perform(charger, "configuration", configuration={"Nonsense": "1"}) == "Nonsense: NotSupported"
    )


async def test_a_configuration_is_shown_without_passwords(charger: Unconnected) -> None:
    key, password = (
        ("HeartbeatInterval", "AuthorizationKey")
        if charger.is_16
        else ("OCPPCommCtrlr.HeartbeatInterval", "SecurityCtrlr.BasicAuthPassword")
    )
    secret = "0123456789abcdef0123456789abcdef"
    await perform(charger, "configuration", configuration={password: secret})

    shown = (await perform(charger, "get_configuration"))["configuration"]

    values = {each["key"]: each["value"] for each in shown}
    assert (values[key], values[password]) == ("300", None)
    assert secret not in str(shown)
    assert await perform(charger, "get_configuration", key=key.lower()) == {
        "configuration": [{"key": key, "readonly": False, "value": "300"}]
    }


async def test_a_list_replaces_the_one_before_if_its_version_grows(charger: Unconnected) -> None:
    entries = [{"id_tag": "A", "parent_id_tag": "G", "expiry_date": "2040-01-01T00:00:00Z"}, {"id_tag": "B"}]

    result = await perform(charger, "local_auth_list", list_version=2, entries=entries)

    assert (result["status"], result["list_version"], result["entries_received"]) == ("Accepted", 2, 2)
    assert (await perform(charger, "get_local_auth_list"))["entries"][0] == {
        "id_tag": "a",
        "status": "Accepted",
        "expiry_date": "2040-01-01T00:00:00.000Z",
        "parent_id_tag": "G",
    }
    refusal = await perform(charger, "local_auth_list", list_version=2, entries=[])
    assert refusal == "list_version is not greater than 2"
    twice = [{"id_tag": "A"}, {"id_tag": "a"}]
    assert "twice" in await perform(charger, "local_auth_list", list_version=3, entries=twice)
    assert await perform(charger, "get_local_auth_list_version") == {"list_version": 2}


async def test_entries_of_the_list_come_and_go(charger: Unconnected) -> None:
    added = await perform(charger, "add_local_auth_list_entry", id_tag="A", status="Blocked")
    await perform(charger, "add_local_auth_list_entry", id_tag="B")

    deleted = await perform(charger, "delete_local_auth_list_entry", id_tag="a")

    assert (added["list_version"], deleted["list_version"], deleted["entries_deleted"]) == (1, 3, 1)
    assert "is not in the" in await perform(charger, "delete_local_auth_list_entry", id_tag="A")
    cleared = await perform(charger, "clear_local_auth_list")
    assert (cleared["entries_deleted"], cleared["list_version"]) == (1, 0)


async def test_the_cache_is_shown_and_emptied(talk: Talk) -> None:
    await talk.act("authorize_id_tag", id_tag="TAG")

    shown = await talk.act("get_cache")
    emptied = await talk.act("cache_reset")

    assert shown.result is not None
    assert [each["id_tag"] for each in shown.result["entries"]] == ["tag"]
    assert emptied.result == {"msg": "Authorization cache cleared", "cleared_entries": 1}
    await talk.act("configuration", configuration={"AuthCacheCtrlr.Enabled": "false"})
    assert (await talk.act("cache_reset")).status == "rejected"


async def test_a_charger_reboots_and_ends_its_session_first(talk: Talk) -> None:
    await talk.act("start_session", id_tag="TAG", duration_seconds=1)

    outcome = await talk.act("reboot", type="Soft" if talk.is_16 else "Immediate")

    assert (outcome.status, outcome.result) == ("applied", {"status": "Accepted"})
    link = await talk.csms.accepted(2)
    boot = link.all("BootNotification")[0]
    assert talk.is_16 or boot["reason"] == "LocalReset"
    assert talk.connector.transaction is None


@pytest.mark.charger(retry_wait_s=60, retry_max_s=60, reboot_s=0)
async def test_a_charger_reboots_also_while_it_waits_to_connect(talk: Talk) -> None:
    talk.csms.kill()
    await wait_until_async(lambda: not talk.model.online)
    await talk.act("plug_connector")

    await talk.act("reboot", type="Hard" if talk.is_16 else "OnIdle")

    await wait_until_async(lambda: not talk.model.wants_reboot)
    assert (await talk.act("reboot", type="Immediate" if talk.is_16 else "Soft")).status == "rejected"
