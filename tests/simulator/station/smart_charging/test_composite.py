"""Composite schedules: whose they are, how far they go, and what they cost."""

import sys
import time
from typing import Any

import pytest

from simulator.station.smart_charging.composite import compose
from simulator.station.smart_charging.profile import UNLIMITED
from simulator.station.smart_charging.profiles import Limit
from tests.simulator.unconnected import unconnected

START = 1_900_000_000
DAY_S = 86_400
START_2020 = {"startSchedule": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
@pytest.mark.parametrize(
    ("duration_s", "answered_s"), [(300, 300), (10**9, 100 * DAY_S), (10**400, 100 * DAY_S), (0, 0), (-1, 0)]
)
async def test_a_composite_schedule_is_of_a_bounded_time(
    version: str, duration_s: int, answered_s: int
) -> None:
    with unconnected(version) as charger:
        if answered_s:
            assert charger.composite(1, duration_s)["duration"] == answered_s
        else:
            place = {"connectorId" if charger.is_16 else "evseId": 1}
            answer = charger.answer("GetCompositeSchedule", place | {"duration": duration_s})
            assert answer["status"] == "Rejected"


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
async def test_the_composite_schedule_of_an_idle_connector_is_that_of_the_next_transaction(
    version: str,
) -> None:
    """K08.FR.06: as if a transaction used the TxDefaultProfile."""
    with unconnected(version) as charger:
        charger.install(1, 5_000, then=[{"startPeriod": 60, "limit": 3_000}])

        periods = charger.composite(1, 300)["chargingSchedulePeriod"]

        assert [(period["startPeriod"], period["limit"]) for period in periods] == [(0, 5_000), (60, 3_000)]
        sums = [period["limit"] for period in charger.composite(0, 300)["chargingSchedulePeriod"]]
        assert sums == [27_000, 25_000]


async def test_a_large_charger_shows_a_whole_day_in_quarters_of_an_hour() -> None:
    with unconnected("OCPP1.6", connectors=100) as charger:
        then = [{"startPeriod": 900 * index, "limit": 1_000 + index} for index in range(1, 96)]
        daily: dict[str, Any] = {"kind": "Recurring", "recurrencyKind": "Daily", "schedule": START_2020}
        charger.install(0, 1_000, then=then, **daily)
        charger.start(1)

        schedule = charger.composite(0, DAY_S)

        assert schedule["duration"] == DAY_S
        assert len(schedule["chargingSchedulePeriod"]) in (96, 97)


@pytest.mark.parametrize("phases", [1, 3])
async def test_the_composite_schedule_of_the_charger_is_the_sum_of_its_connectors(phases: int) -> None:
    """TC_K_22: the limit is multiplied by the number of EVSEs, in A as in W."""
    with unconnected("OCPP2.0.1") as charger:
        charger.install(0, 6, unit="A", period={"numberPhases": phases})

        (period,) = charger.composite(0, 400, "A")["chargingSchedulePeriod"]

        assert period == {"startPeriod": 0, "limit": 12.0, "numberPhases": phases}


async def test_a_composite_schedule_ends_before_the_first_period_that_is_too_many() -> None:
    """ChargingScheduleMaxPeriods; the duration says how far it goes."""
    with unconnected("OCPP1.6") as charger:
        then = [{"startPeriod": 60 * index, "limit": index} for index in range(1, 100)]
        charger.install(1, 500, kind="Recurring", recurrencyKind="Daily", then=then, schedule=START_2020)

        schedule = charger.composite(1, 3 * DAY_S)

        assert len(schedule["chargingSchedulePeriod"]) == 100
        last_s = schedule["chargingSchedulePeriod"][-1]["startPeriod"]
        assert last_s < schedule["duration"] <= DAY_S


HOUR = {"duration": 3_600}


def _many_periods(charger: Any, number: int, index: int, **fields: Any) -> None:
    then = [{"startPeriod": 36 * each, "limit": 5_000 + each % 2} for each in range(1, 99)]
    then.append({"startPeriod": 10**12, "limit": 1})
    fields = {"kind": "Recurring", "recurrencyKind": "Daily", "then": then} | fields
    answer = charger.install(number, 5_000, id=index, level=index % 20, **fields)
    assert answer["status"] == "Accepted"


def cpu_s(run: Any) -> float:
    """The processor time of the quickest of three runs: what it costs, on a busy machine, too.

    Coverage that traces each line multiplies it by up to ten, which is taken off.
    """
    costs = []
    for _ in range(3):
        before_s = time.process_time()
        run()
        costs.append(time.process_time() - before_s)
    return min(costs) / (1 if sys.gettrace() is None else 10)


async def test_a_hundred_days_of_twenty_daily_profiles_take_under_20_ms() -> None:
    with unconnected("OCPP1.6") as charger:
        for index in range(20):
            start = f"2020-01-01T{index:02}:00:00Z"
            _many_periods(charger, 1, index, schedule={"startSchedule": start} | HOUR)
        charger.install(0, 1, id=99, purpose="Max")

        assert cpu_s(lambda: charger.composite(1, 100 * DAY_S)) < 0.02


@pytest.mark.parametrize("year", ["1970", "9999"])
async def test_no_profiles_hold_up_the_charger(year: str) -> None:
    """50 profiles of 100 periods: the costliest turn of the event loop is far below 0.5 s."""
    with unconnected("OCPP1.6", connectors=3) as charger:
        charger.start(1)
        for index in range(49):
            schedule = {"startSchedule": f"{year}-01-01T00:00:00Z", "duration": 10**9}
            _many_periods(charger, 1 + index // 20, index, schedule=schedule)
        charger.install(0, 1, id=99, purpose="Max")

        assert cpu_s(charger.model.station.energy.update_power) < 0.02
        assert cpu_s(lambda: charger.composite(1, 10**9)) < 0.1
        assert cpu_s(lambda: charger.composite(0, 10**9)) < 0.1


def test_a_change_within_the_last_second_is_not_in_a_composite_schedule() -> None:
    def limit_at(moment: float) -> Limit:
        return Limit(1.0, 1, START + 9.5) if moment < START + 9.5 else Limit(2.0, 1, UNLIMITED)

    composite = compose(limit_at, START, 10, max_periods=100, max_changes=400)

    assert composite == (10, [(0, 1.0, 1)])
