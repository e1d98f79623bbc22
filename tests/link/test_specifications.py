"""What a charger is to be reaches it over the link: with the welcome, and as a frame when it changes."""

import asyncio
import time

from link.process import Link
from shared.auth.control_tokens import ControlTokens
from tests.link.conftest import Connect
from tests.simulator.charger import ChargerProcess
from tests.support.control_link import ControlRows
from tests.support.csms import Csms

URL = "ws://csms.test/ocpp"


def test_the_welcome_has_the_whole_specification_with_its_secrets(
    rows: ControlRows, connect: Connect
) -> None:
    charger_id = rows.charger()
    rows.specify(charger_id, settings={"security": {"password": "geheim-1"}, "iccid": "8931"})

    welcome = connect(charger_id).hello()

    [said] = welcome["chargers"]
    assert said["spec"]["revision"] == 1
    variables = said["spec"]["environment"]
    assert variables["CHARGER_WS_URL"] == URL
    assert (variables["CHARGER_PASSWORD"], variables["CHARGER_ICCID"]) == ("geheim-1", "8931")


def test_a_charger_that_has_the_newest_specification_gets_none(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    rows.specify(charger_id, settings={"iccid": "8931"})
    has_it = {"charger": charger_id, "boot": "boot-1", "spec": 1, "has_memory": True}

    welcome = connect(charger_id).hello(chargers=[has_it])

    assert [each["spec"] for each in welcome["chargers"]] == [None]


def test_a_change_is_sent_to_the_charger_it_is_for_and_to_no_other(
    rows: ControlRows, connect: Connect
) -> None:
    mine, other = rows.charger("CP-1"), rows.charger("CP-2")
    process, neighbour = connect(mine), connect(other)
    process.hello()
    neighbour.hello()

    rows.specify(mine, ws_url="ws://other.test/ocpp")
    rows.specify(other, settings={"iccid": "8931"})

    [sent] = process.hear("specs")["specs"]
    assert sent["charger"] == mine
    assert sent["spec"]["environment"]["CHARGER_WS_URL"] == "ws://other.test/ocpp"
    [sent] = neighbour.hear("specs")["specs"]
    assert sent["charger"] == other


def test_a_change_without_a_connected_charger_waits_for_it(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    connect(charger_id).hello()
    rows.specify(charger_id, settings={"iccid": "1"})
    rows.specify(charger_id, settings={"iccid": "2"})

    again = connect(charger_id).hello()

    assert again["chargers"][0]["spec"]["revision"] == 2


async def test_a_change_of_url_and_password_reaches_the_new_csms_within_two_seconds(
    rows: ControlRows, link: Link, tokens: ControlTokens
) -> None:
    """A hint is not needed for it."""
    charger_id = rows.charger()
    way = {
        "charger_id": charger_id,
        "control_url": link.url,
        "control_token": tokens.first_token(charger_id),
    }
    async with Csms() as old, Csms() as new:
        await asyncio.to_thread(rows.specify, charger_id, ws_url=old.url)
        async with ChargerProcess("", **way):
            await old.accepted()
            began_s = time.monotonic()

            await asyncio.to_thread(
                rows.specify, charger_id, ws_url=new.url, settings={"security": {"password": "geheim-2"}}
            )

            await new.accepted()
            assert time.monotonic() - began_s < 2
    assert "Authorization" in new.requests[0].headers
