"""The charger's clock follows the CSMS's, unless that shows a time that cannot be."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.clock import Clock, format_time, parse_time
from tests.simulator.charger import LocalCharger
from tests.support.csms import NOW, Csms
from tests.support.waiting import wait_until_async

IMPOSSIBLE = [
    "0001-01-01T00:00:00+02:00",  # EVerest/libocpp#678, #808
    "9999-12-31T23:59:59-02:00",
    "0000-00-00T00:00:00Z",
    "2030-02-30T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "-1",
    "",
]


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
async def test_a_charger_keeps_its_own_clock_when_the_time_of_the_csms_cannot_be(version: str) -> None:
    async with Csms() as csms, LocalCharger(csms.url, version) as charger:
        csms.answers["BootNotification"] = {
            "current_time": IMPOSSIBLE[0],
            "interval": 300,
            "status": "Accepted",
        }
        link = await csms.accepted()
        charger.model.clock.set(NOW)
        for count, text in enumerate(IMPOSSIBLE, start=2):
            csms.raw_answers["Heartbeat"] = f'{{"currentTime":"{text}"}}'
            charger.model.registration.send_heartbeat()
            await wait_until_async(lambda: len(charger.remarks()) == count)  # noqa: B023
        assert all("clock cannot be read" in remark for remark in charger.remarks())

        del csms.raw_answers["Heartbeat"]
        assert charger.model.clock.now() == pytest.approx(parse_time(NOW), abs=5)
        charger.model.registration.send_heartbeat()
        await link.next("Heartbeat")


@given(
    st.datetimes(timezones=st.timezones() | st.none()).map(lambda moment: moment.isoformat())
    | st.text(max_size=30)
)
def test_whatever_can_be_set_or_read_as_a_time_can_be_written_down(text: str) -> None:
    clock = Clock()
    try:
        format_time(parse_time(text))
        clock.set(text)
    except ValueError:
        assert clock.now() == pytest.approx(time.time(), abs=5)
    assert clock.stamp() < "3001"
