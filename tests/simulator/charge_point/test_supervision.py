"""A fault of the charger's own code is logged, and ends neither the charger nor another one."""

import pytest
from ocpp.exceptions import InternalError  # type: ignore[import-untyped]

from tests.simulator.talk import Talk


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fail(*_: object, **__: object) -> None:
    raise ValueError("cannot convert float NaN to integer")


async def test_a_request_on_which_the_charger_fails_gets_an_internal_error(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.charger.may_log_faults = True
    monkeypatch.setattr(talk.model.authorizer, "clear_cache", fail)

    with pytest.raises(InternalError):
        await talk.call("ClearCache")

    assert "ClearCache could not be answered: ValueError" in talk.charger.remarks()[-1]
    monkeypatch.undo()
    assert (await talk.call("ClearCache")).status == "Accepted"
