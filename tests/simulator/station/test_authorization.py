"""Tokens: the local list, the cache, and what the CSMS says about a token whose transaction runs."""

import pytest

from simulator.station.authorization import CACHE_SIZE, TokenInfo
from simulator.station.model import Token
from tests.simulator.charger import LocalCharger
from tests.simulator.station.both import (
    answer_authorize,
    answer_start,
    answer_stop,
    list_version,
    request_start,
    request_stop,
    send_list,
    show,
    started,
    stopped,
)
from tests.simulator.talk import Talk
from tests.support.waiting import wait_until_async

NO_STOP = '"StopTransactionOnInvalidId": "false"'
PRE_AUTHORIZE = '"LocalPreAuthorize": "true"'


@pytest.mark.parametrize("status", ["Blocked", "ConcurrentTx"])
async def test_any_status_but_accepted_ends_a_transaction_that_has_begun(talk: Talk, status: str) -> None:
    """OCPP 1.6 part 1, 9.1 StopTransactionOnInvalidId; 2.0.1, E05.FR.10."""
    answer_start(talk, status)

    await request_start(talk, "TAG", 1)

    assert (await stopped(talk))["reason"] == "DeAuthorized"
    assert talk.connector.power_w == 0


@pytest.mark.charger(configuration=f"{{{NO_STOP}}}", ev_unplug_s=0.05)
async def test_a_refused_token_keeps_its_transaction_without_energy_where_that_is_configured(
    talk: Talk,
) -> None:
    """OCPP 1.6 part 1, 9.1: only the energy stops; 2.0.1, E05.FR.02. Then the driver leaves."""
    answer_start(talk, "Blocked")

    await request_start(talk, "TAG", 1)

    if talk.is_16:
        await talk.status("SuspendedEVSE")
    else:
        suspended = await talk.event("Updated", "Deauthorized")
        assert suspended["transaction_info"]["charging_state"] == "SuspendedEVSE"
    assert talk.connector.power_w == 0
    assert (await stopped(talk))["reason"] == "EVDisconnected"


@pytest.mark.charger(max_power_w=3_600_000, configuration=f'{{{NO_STOP}, "MaxEnergyOnInvalidId": "100"}}')
async def test_a_refused_token_draws_what_is_configured_before_the_energy_stops(talk: Talk) -> None:
    """2.0.1, E05.FR.03 and .08. 3.6 MW is 1 kWh per second."""
    answer_start(talk, "Invalid")

    await request_start(talk, "TAG", 1)

    await wait_until_async(lambda: talk.connector.charging_state == "SuspendedEVSE")
    assert talk.connector.transaction is not None
    drawn_wh = talk.connector.energy_wh - talk.connector.transaction.meter_start_wh
    assert 100 <= drawn_wh < 250
    assert await request_stop(talk) == "Accepted"
    assert (await stopped(talk))["reason"] == "Remote"


@pytest.mark.charger(configuration=f"{{{PRE_AUTHORIZE}}}")
@pytest.mark.parametrize("end", ["by its token", "remotely"])
async def test_what_the_csms_says_at_the_end_of_a_transaction_is_remembered(talk: Talk, end: str) -> None:
    """OCPP 1.6 part 1, 4.10; 2.0.1, C10.FR.04. Only the report of a stop by its token names the token."""
    await talk.perform("PlugIn")
    await show(talk, "TAG")
    await started(talk)
    await wait_until_async(lambda: talk.connector.power_w > 0 and not talk.model.has_queued_messages(None))
    answer_stop(talk, "Blocked")
    if end == "by its token" or not talk.is_16:
        await show(talk, "TAG")
    else:
        await request_stop(talk)
    await wait_until_async(lambda: talk.model.authorizer.cache["tag"].status == "Blocked")
    talk.link.calls.clear()

    await show(talk, "TAG", connector=2)

    await talk.link.next("Authorize")


async def test_an_empty_local_list_has_version_zero(talk: Talk) -> None:
    """OCPP 1.6 part 1, 5.10; 2.0.1, D02.FR.02; TC_D_04."""
    assert await send_list(talk, 4, "Full", ("GOOD", "Accepted")) == "Accepted"
    assert await list_version(talk) == 4

    assert await send_list(talk, 5, "Full") == "Accepted"

    assert await list_version(talk) == 0


async def test_a_wrong_update_of_the_local_list_changes_nothing(talk: Talk) -> None:
    """2.0.1, D01.FR.18 and .19, and libocpp's apply_local_authorization_list."""
    await send_list(talk, 4, "Full", ("OLD", "Accepted"))
    new = ("NEW", "Accepted")

    assert await send_list(talk, 5, "Full", new, ("ADMIN", None)) == "Failed"
    assert await send_list(talk, 5, "Full", new, ("NEW", "Blocked")) == "Failed"
    assert await send_list(talk, 5, "Full", new, ("new", "Accepted")) == "Failed"
    assert await send_list(talk, 5, "Differential", new, ("NEW", None)) == "Failed"
    assert await send_list(talk, 0, "Full", new) == "Failed"
    assert await send_list(talk, -1, "Full") == "Failed"
    assert await send_list(talk, 4, "Differential", new) == "VersionMismatch"
    too_many = [(f"T{number}", "Accepted") for number in range(1001)]
    assert await send_list(talk, 5, "Full", *too_many) == "Failed"

    assert await list_version(talk) == 4
    assert list(talk.model.authorizer.local_list) == ["old"]


@pytest.mark.charger(configuration=f"{{{PRE_AUTHORIZE}}}")
async def test_the_local_list_comes_before_the_cache(talk: Talk) -> None:
    """OCPP 1.6 part 1, 3.5.3: a listed token is not cached either; 2.0.1, C13.FR.01."""
    await show(talk, "TAG")
    await wait_until_async(lambda: "tag" in talk.model.authorizer.cache)

    await send_list(talk, 1, "Full", ("TAG", "Blocked"))

    assert talk.model.authorizer.cache == {}
    await show(talk, "TAG", connector=2)
    await talk.link.next("Authorize", lambda _: len(talk.link.all("Authorize")) == 2)
    await wait_until_async(lambda: talk.model.station.connectors[1].token is not None)
    assert talk.model.authorizer.cache == {}


@pytest.mark.charger(configuration=f'{{{PRE_AUTHORIZE}, "AuthCacheCtrlr.LifeTime": "60"}}')
async def test_a_cached_token_is_authorized_again_when_it_was_not_used_for_the_lifetime(talk: Talk) -> None:
    """2.0.1, AuthCacheCtrlr.LifeTime: since it was last used."""
    cache = talk.model.authorizer.cache
    await show(talk, "TAG")
    await wait_until_async(lambda: "tag" in cache)
    now = talk.model.clock.now()
    cache["tag"] = cache["tag"]._replace(used_at=now - 59)

    await show(talk, "TAG", connector=2)
    used_at = cache["tag"].used_at
    assert used_at is not None
    assert used_at >= now
    assert len(talk.link.all("Authorize")) == 1

    cache["tag"] = cache["tag"]._replace(used_at=now - 61)
    await show(talk, "TAG", connector=2)
    await talk.perform("Unplug")
    await wait_until_async(lambda: talk.model.station.connectors[1].token is None)
    await show(talk, "TAG", connector=2)
    await talk.link.next("Authorize", lambda _: len(talk.link.all("Authorize")) == 2)


@pytest.mark.parametrize("learned", ["when it started", "from Authorize"])
async def test_a_token_of_the_same_group_ends_a_transaction_when_the_csms_knows_it(
    talk: Talk, learned: str
) -> None:
    """OCPP 1.6 part 1, 4.1 and TC_069; 2.0.1, C09. Neither list nor cache knows the second token."""
    his = ("Accepted", "FAMILY") if learned == "from Authorize" else "Accepted"
    answer_authorize(talk, HIS=his, HERS=("Accepted", "FAMILY"), BAD=("Blocked", "FAMILY"), ELSE="Accepted")
    answer_start(talk, "Accepted", None if learned == "from Authorize" else "FAMILY")
    await talk.perform("PlugIn")
    await show(talk, "HIS")
    await started(talk)
    await wait_until_async(lambda: talk.connector.group == "FAMILY")

    await show(talk, "ELSE")
    await show(talk, "BAD")
    await wait_until_async(lambda: {"else", "bad"} <= set(talk.model.authorizer.cache))
    assert talk.connector.transaction is not None
    await show(talk, "HERS")

    ended = await stopped(talk)
    assert (ended["token"], ended["reason"]) == ("HERS", "Local")


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_token_starts_only_at_the_evses_that_the_csms_names(talk: Talk) -> None:
    """IdTokenInfoType.evseId, in the answers to Authorize and to TransactionEvent."""
    second_only = {"id_token_info": {"status": "Accepted", "evse_id": [2]}}
    talk.csms.answers["Authorize"] = second_only
    await talk.perform("PlugIn")
    await show(talk, "TAG")
    await wait_until_async(lambda: talk.link.all("Authorize") and not talk.connector.claimed)
    assert talk.connector.transaction is None

    await talk.perform("PlugIn", '{"connector": 2}')
    await show(talk, "TAG", connector=2)
    assert (await started(talk))["evse"]["id"] == 2

    talk.csms.answers["TransactionEvent"] = second_only
    assert await request_start(talk, "OTHER", 1) == "Accepted"
    assert (await stopped(talk))["reason"] == "DeAuthorized"


@pytest.mark.charger(configuration='{"TxCtrlr.TxStopPoint": "EVConnected"}', ev_unplug_s=0.05)
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_refused_token_leaves_a_transaction_that_only_the_cable_ends(talk: Talk) -> None:
    """E05.FR.09: no energy any more; then the driver leaves."""
    answer_start(talk, "Blocked")

    await request_start(talk, "TAG", 1)

    await talk.event("Updated", "Deauthorized")
    assert talk.connector.power_w == 0
    assert (await stopped(talk))["reason"] == "EVDisconnected"


def test_a_full_cache_drops_refused_tokens_first(version: str) -> None:
    """2.0.1, C10.FR.07."""
    authorizer = LocalCharger("ws://localhost:1", version).model.authorizer
    for number in range(CACHE_SIZE):
        authorizer.remember(Token(f"T{number}"), TokenInfo("Blocked" if number == 5 else "Accepted"))

    authorizer.remember(Token("NEW"), TokenInfo("Invalid"))
    authorizer.remember(Token("NEWER"), TokenInfo("Accepted"))
    authorizer.remember(Token("NEWEST"), TokenInfo("Accepted"))

    assert len(authorizer.cache) == CACHE_SIZE
    assert {"t0", "t5", "new"}.isdisjoint(authorizer.cache)
    assert {"t1", "newer", "newest"} <= set(authorizer.cache)


@pytest.mark.parametrize("controller", ["AuthCacheCtrlr", "LocalAuthListCtrlr"])
async def test_a_known_refusal_counts_where_that_is_configured(talk: Talk, controller: str) -> None:
    """2.0.1, DisablePostAuthorize: C10.FR.03, C12.FR.05 and C14. Otherwise the CSMS may have changed its mind."""
    if controller == "AuthCacheCtrlr":
        talk.model.authorizer.remember(Token("TAG"), TokenInfo("Blocked"))
    else:
        await send_list(talk, 1, "Full", ("TAG", "Blocked"))
    name = "cache_refusal_counts" if controller == "AuthCacheCtrlr" else "list_refusal_counts"
    talk.model.options.set(name, "true")

    await show(talk, "TAG")

    assert not talk.connector.claimed
    assert talk.link.all("Authorize") == []
    talk.model.options.set(name, "false")
    await show(talk, "TAG")
    await talk.link.next("Authorize")


@pytest.mark.charger(configuration='{"AuthCtrlr.Enabled": "false"}')
async def test_every_token_is_accepted_without_authorization_where_that_is_configured(talk: Talk) -> None:
    """2.0.1, C01; libocpp's validate_token reads AuthCtrlr.Enabled."""
    answer_authorize(talk, TAG="Blocked")
    await talk.perform("PlugIn")

    await show(talk, "TAG")

    await started(talk)
    assert talk.link.all("Authorize") == []


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_token_may_be_refused_in_the_answer_to_any_event(talk: Talk) -> None:
    """E06.FR.04; the event of a change of power names no token."""
    await talk.start()
    talk.csms.answers["TransactionEvent"] = {"id_token_info": {"status": "Blocked"}}

    await talk.perform("SetPower", '{"powerW": 1000}')

    assert (await stopped(talk))["reason"] == "DeAuthorized"
    await wait_until_async(lambda: talk.model.authorizer.cache["tag"].status == "Blocked")


@pytest.mark.charger(configuration='{"AuthCtrlr.AuthorizeRemoteStart": "true"}')
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_token_of_the_csms_itself_is_not_authorized(talk: Talk) -> None:
    """C05: of the type Central, for a requested start; libocpp does not send Authorize either, nor cache it."""
    central = {"id_token": "CSMS", "type": "Central"}

    await talk.call("RequestStartTransaction", id_token=central, remote_start_id=1, evse_id=1)

    assert (await started(talk))["id_token"] == central
    assert talk.link.all("Authorize") == []
    assert talk.model.authorizer.cache == {}


async def test_a_token_that_is_too_long_has_one_name_for_all_that_the_csms_says(talk: Talk) -> None:
    """An idTag has 20 characters, an idToken 36: StartTransaction's answer is about the token that was shown."""
    answer_start(talk, "Blocked")
    await talk.perform("PlugIn")

    await show(talk, "0123456789" * 4)

    await stopped(talk)
    await wait_until_async(lambda: talk.connector.token is None)
    (name,) = talk.model.authorizer.cache
    assert len(name) == (20 if talk.is_16 else 36)
    assert talk.model.authorizer.cache[name].status == "Blocked"
