"""200 chargers share a host. Whatever their CSMS does to some of them, the others live on."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.simulator.host.hosting import desired, hosting
from tests.simulator.hostile_csms import PLAGUES
from tests.simulator.test_neighbours import (
    MAX_GAP_S,
    VERSIONS,
    hostile_csms,
    identities,
    longest_gaps,
    no_garbage_of_others,
)
from tests.support.cpu_times import CpuTimes

__all__ = ["no_garbage_of_others"]


@pytest.mark.usefixtures("no_garbage_of_others")
async def test_no_charger_holds_up_its_neighbours_in_a_host(tmp_path: Path) -> None:
    own = CpuTimes()
    async with hostile_csms() as (url, output), hosting(tmp_path) as (host, link, session, _):
        sampling = asyncio.create_task(own.sample())
        await link.give(
            *(desired(each, url, ocpp_version=VERSIONS[each.rpartition("-")[2]]) for each in identities())
        )
        async with asyncio.timeout(60):
            report = json.loads(await output.readline())
        running = {hosted.id for hosted in host.host._keeper.running()}
        sampling.cancel()

    gaps = longest_gaps(report, own, CpuTimes(report["cpu_times"]))
    assert {each: gap for each, gap in gaps.items() if gap > MAX_GAP_S and each.startswith("CP-")} == {}
    assert (running, report["lost"]) == (set(identities()), [])
    assert not [each for each in session.all("observed") if each["fault"]]
    assert all(report["answers"][f"{each}-{version}"] for each in PLAGUES for version in VERSIONS)
