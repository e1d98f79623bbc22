"""Whatever a CSMS answers: no charger ends, no connector is stuck, no transaction is lost or reported twice, no register falls."""

import pytest

from simulator.charge_point import registration
from tests.simulator.random_sessions.driver import drive


@pytest.mark.anyio
async def test_random_sessions_survive_a_csms_that_answers_one_call_in_five_wrongly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registration, "DEFAULT_BOOT_RETRY_S", 0.1)

    csms = await drive(chargers=12, sessions_each=4, seed=1, call_timeout_s=1)

    assert csms.wrong_answers > 20


@pytest.mark.anyio
async def test_random_sessions_keep_their_promises_while_the_charger_misbehaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registration, "DEFAULT_BOOT_RETRY_S", 0.1)

    csms = await drive(chargers=12, sessions_each=4, seed=2, call_timeout_s=1, wrong_share=0, misbehaves=True)

    assert csms.bad_frames > 0
