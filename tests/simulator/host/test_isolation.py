"""A charger whose own code fails in what the link shares among all: it is restarted, and no other one notices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator import life
from simulator.charge_point.memory import Memory
from simulator.control import reports
from tests.simulator.host.hosting import desired, hosting
from tests.support.waiting import wait_until_async

WHOSE: dict[str, Callable[[Any], str]] = {
    "snapshot": lambda memory: memory._identity,
    "describe_connectors": lambda charge_point: charge_point.settings.identity,
    "follow": lambda charge_point: charge_point.settings.identity,
}


@pytest.mark.parametrize(
    ("place", "name"), [(Memory, "snapshot"), (reports, "describe_connectors"), (life, "follow")]
)
async def test_a_charger_that_fails_at_the_control_link_cuts_no_other_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    real = getattr(place, name)

    def fail(subject: object, *rest: object) -> object:
        if WHOSE[name](subject) == "dep-1":
            raise ZeroDivisionError
        return real(subject, *rest)

    async with hosting(tmp_path) as (host, link, session, csms):
        await link.give(desired("dep-1", csms.url), desired("dep-2", csms.url))
        await csms.accepted(2)
        monkeypatch.setattr(place, name, fail)

        for each in ("dep-1", "dep-2"):
            await link.give(desired(each, csms.url, 2, revision=2, ev_energy_wh=5000))
        await wait_until_async(lambda: "failed: ZeroDivisionError" in str(host.lines("dep-1")))
        await wait_until_async(lambda: session.state("dep-2").get("spec", {}).get("revision") == 2)
        remembered = len(session.all("memories"))
        await link.give(desired("dep-2", csms.url, 3, is_on=False))
        await wait_until_async(lambda: len(session.all("memories")) > remembered)
        monkeypatch.setattr(place, name, real)

    assert len(link.sessions) == 1
