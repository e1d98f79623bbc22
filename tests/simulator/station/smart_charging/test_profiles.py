"""What installed profiles allow: at any moment, in any composite schedule, and at what cost."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.station.model import Connector, Electrics, Transaction
from simulator.station.smart_charging.composite import compose
from simulator.station.smart_charging.profile import UNLIMITED, Period, Profile
from simulator.station.smart_charging.profiles import Profiles
from tests.simulator.unconnected import unconnected

START = 1_900_000_000
MAX_POWER_W = 22_000
ELECTRICS = Electrics(voltage_v=230.0, phases=3, is_dc=False)
DAY_S = 86_400
START_2020 = {"startSchedule": "2020-01-01T00:00:00Z"}

FRACTIONS = st.sampled_from([0, 0.25, 0.75])
SECONDS = st.integers(-3 * DAY_S, 3 * DAY_S) | st.integers(-300, 300)


@st.composite
def any_profiles(draw: st.DrawFn) -> list[Profile]:
    return [_draw_profile(draw, number) for number in range(draw(st.integers(0, 5)))]


def _draw_profile(draw: st.DrawFn, number: int) -> Profile:
    purpose = draw(st.sampled_from(["Max", "TxDefaultProfile", "TxProfile"]))
    starts = [0, *sorted(draw(st.sets(st.integers(1, 400), max_size=4)))]
    absolute = purpose == "Max" or draw(st.booleans())
    return Profile(
        id=number,
        connector_number=0 if purpose == "Max" else draw(st.integers(0, 2)),
        stack_level=number,
        purpose=purpose,
        transaction_id=draw(st.sampled_from(["T", "other"])) if purpose == "TxProfile" else None,
        start=START + draw(SECONDS) + draw(FRACTIONS) if absolute else None,
        recurrence_s=draw(st.sampled_from([UNLIMITED, DAY_S, 500, 7])),
        duration_s=draw(st.sampled_from([UNLIMITED, 1e9]) | st.integers(1, 700)),
        valid_from=draw(st.just(-UNLIMITED) | st.integers(START - 300, START + 300)),
        valid_to=draw(st.just(UNLIMITED) | st.integers(START - 300, START + 600)),
        periods=[
            Period(
                start,
                draw(st.integers(0, 25_000)),
                draw(st.sampled_from([None, 1, 3])),
                draw(st.integers(0, 3_000)),
            )
            for start in starts
        ],
        received_at=START,
        payload={},
    )


def expected_w(profiles: list[Profile], connector: Connector, moment: int, sharing: int) -> tuple[float, int]:
    """The rules of OCPP 1.6 part 1, 3.13.2 and 2.0.1 K01, in as few words as possible."""
    own = _expected_period(profiles, "TxProfile", connector, moment)
    own = own or _expected_period(profiles, "TxDefaultProfile", connector, moment) or Period(0, UNLIMITED)
    whole = _expected_period(profiles, "Max", connector, moment) or Period(0, UNLIMITED)
    phases = min(own.phases or 3, whole.phases or 3)
    share_w = whole.limit_w * phases / (whole.phases or 3) / sharing
    share_w = 0.0 if share_w < max(own.least_w, whole.least_w) else share_w
    return min(own.limit_w * phases / (own.phases or 3), share_w, MAX_POWER_W * phases / 3), phases


def _expected_period(
    profiles: list[Profile], purpose: str, connector: Connector, moment: int
) -> Period | None:
    transaction = connector.transaction
    for profile in sorted(profiles, key=lambda each: -each.stack_level):
        if profile.purpose != purpose or not _is_for(profile, connector):
            continue
        started = transaction.ready_at if transaction and profile.purpose != "Max" else None
        start = profile.start if profile.start is not None else started
        if start is None or not profile.valid_from <= moment < profile.valid_to:
            continue
        offset_s = moment - start
        if offset_s >= 0 and profile.recurrence_s < UNLIMITED:
            offset_s %= profile.recurrence_s
        if 0 <= offset_s < profile.duration_s:
            return [period for period in profile.periods if period.start_s <= offset_s][-1]
    return None


def _is_for(profile: Profile, connector: Connector) -> bool:
    if profile.purpose == "TxProfile":
        return connector.transaction is not None and profile.transaction_id == connector.transaction.id
    return profile.connector_number in (0, connector.number)


@settings(max_examples=60, deadline=None)
@given(
    profiles=any_profiles(),
    runs_for_s=st.none() | st.floats(0, 600),
    sharing=st.integers(1, 3),
    duration_s=st.just(900) | st.integers(1, 900),
)
def test_a_composite_schedule_says_at_each_second_what_the_rules_allow_then(
    profiles: list[Profile], runs_for_s: float | None, sharing: int, duration_s: int
) -> None:
    installed = Profiles(ELECTRICS, MAX_POWER_W)
    for profile in profiles:
        installed.add(profile)
    connector = Connector(1)
    if runs_for_s is not None:
        connector.transaction = Transaction("T", 0.0, 0.0, ready_at=START - runs_for_s)

    composite = compose(
        lambda moment: installed.limit(connector, moment, sharing),
        START,
        duration_s,
        max_periods=100,
        max_changes=400,
    )

    starts = [period.start_s for period in composite.periods]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < composite.duration_s <= duration_s
    for offset_s in {*range(0, composite.duration_s, 97), *starts, *(start - 1 for start in starts[1:])}:
        current = [period for period in composite.periods if period.start_s <= offset_s][-1]
        expected = expected_w(profiles, connector, START + offset_s, sharing)
        assert (current.power_w, current.phases) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(profiles=any_profiles(), moment=st.floats(START - 1e6, START + 1e6))
def test_a_limit_holds_until_it_says_and_time_always_passes(profiles: list[Profile], moment: float) -> None:
    installed = Profiles(ELECTRICS, MAX_POWER_W)
    for profile in profiles:
        installed.add(profile)
    connector = Connector(1, transaction=Transaction("T", 0.0, 0.0, ready_at=START))

    limit = installed.limit(connector, moment, 1)

    assert limit.until > moment
    assert limit.power_w >= 0
    halfway = moment + (min(limit.until, moment + 1e9) - moment) / 2
    if halfway < limit.until:  # there may be no number between the two
        assert installed.limit(connector, halfway, 1)[:2] == limit[:2]


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
@settings(max_examples=25, deadline=None)
@given(
    limit=st.integers(0, 60_000),
    own=st.lists(st.none() | st.integers(0, 22_000), min_size=3, max_size=3),
    charging=st.sets(st.integers(1, 3)),
    least=st.sampled_from([0, 4_000]),
)
def test_all_connectors_together_never_exceed_the_limit_of_the_charger(
    version: str, limit: int, own: list[int | None], charging: set[int], least: int
) -> None:
    async def run() -> None:
        with unconnected(version, connectors=3) as charger:
            rate: dict[str, Any] = {
                "schedule": {"startSchedule": "2020-01-01T00:00:00Z", "minChargingRate": least}
            }
            for number, own_limit in enumerate(own, 1):
                if own_limit is not None:
                    charger.install(number, own_limit, id=number)
            for number in charging:
                charger.start(number)
            assert (
                charger.install(0, limit, id=9, purpose="Max", kind="Absolute", **rate)["status"]
                == "Accepted"
            )

            total_w = sum(charger.power_w(number) for number in (1, 2, 3))
            assert total_w <= limit + 1e-6
            for number in charging:
                first = charger.composite(number, 60)["chargingSchedulePeriod"][0]
                connector = charger.model.station.connectors[number - 1]
                assert first["limit"] == pytest.approx(connector.limit_w, abs=0.05)
            assert all(charger.power_w(number) == 0 for number in {1, 2, 3} - charging)
            assert charger.composite(0, 60)["chargingSchedulePeriod"][0]["limit"] <= limit

    asyncio.run(run())


async def test_a_period_of_one_phase_uses_one_phase_of_three() -> None:
    with unconnected("OCPP1.6") as charger:
        charger.start(1)
        charger.install(1, 16, unit="A", period={"numberPhases": 1})
        assert charger.power_w() == 16 * 230
        assert charger.composite(1, 60, "A")["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 16.0, "numberPhases": 1}
        ]

        charger.install(1, 11_000, period={"numberPhases": 1})
        assert charger.power_w() == pytest.approx(22_000 / 3), "one phase cannot carry more"
        charger.install(1, 16, unit="A")
        assert charger.power_w() == 16 * 230 * 3

        charger.install(0, 20, id=2, purpose="Max", unit="A", period={"numberPhases": 1})
        assert charger.power_w() == 16 * 230, "the lower number of phases counts"
        charger.install(0, 10, id=2, purpose="Max", unit="A")
        charger.install(1, 16, unit="A", period={"numberPhases": 1})
        assert charger.power_w() == pytest.approx(10 * 230), "10 A on each phase"


@pytest.mark.parametrize(
    ("version", "period", "expected_w"),
    [
        ("OCPP2.0.1", {}, 2_000),
        ("OCPP2.0.1", {"numberPhases": 1}, 6_000),
        ("OCPP1.6", {}, 6_000),
        ("OCPP1.6", {"numberPhases": 3}, 6_000),
    ],
)
async def test_a_limit_in_watts_on_a_charger_of_one_phase(
    version: str, period: dict[str, Any], expected_w: int
) -> None:
    """K01.FR.49 and .50 with the erratum of 2025-06: 6 kW are 8.7 A on each of three phases. 1.6: errata 3.34."""
    with unconnected(version, max_power_w=7_000) as charger:
        charger.start(1)
        charger.install(1, 6_000, period=period)
        assert charger.power_w() == pytest.approx(expected_w)

        absolute = {"kind": "Absolute", "schedule": START_2020}
        charger.install(0, 5_000, id=2, purpose="Max", **absolute)
        assert charger.power_w() == pytest.approx(min(expected_w, 5_000))


async def test_a_share_below_the_minimum_is_not_used() -> None:
    """minChargingRate is for the distribution between connectors (OCPP 1.6 part 1, 3.13.4; 2.0.1 K01.FR.21)."""
    with unconnected("OCPP1.6") as charger:
        charger.start(1)
        charger.install(1, 5, unit="A", schedule={"minChargingRate": 6})
        assert charger.power_w() == 5 * 690, "what the CSMS sets is not a share"
        charger.install(0, 8_000, id=2, purpose="Max")
        assert charger.power_w() == 5 * 690

        charger.start(2)

        assert (charger.power_w(), charger.power_w(2)) == (0, 4_000)
        assert charger.model.station.connectors[0].charging_state == "SuspendedEVSE"
        assert charger.composite(1, 60)["chargingSchedulePeriod"][0]["limit"] == 0


async def test_a_relative_profile_begins_when_energy_may_flow() -> None:
    """K01.FR.42: not with a transaction that the cable began."""
    with unconnected("OCPP2.0.1", configuration='{"TxCtrlr.TxStartPoint": "EVConnected"}') as charger:
        charger.install(1, 5_000, then=[{"startPeriod": 60, "limit": 3_000}])
        charger.model.data_transfer.perform("PlugIn", None)
        transaction = charger.model.station.connectors[0].transaction
        assert transaction is not None
        transaction.started_at -= 100

        charger.start(1)

        assert charger.power_w() == 5_000


async def test_a_reset_does_not_share_the_limit_anew_at_each_end() -> None:
    with unconnected("OCPP2.0.1", connectors=3) as charger:
        for number in (1, 2, 3):
            charger.start(number)
        charger.install(0, 9_000, purpose="Max", kind="Absolute", schedule=START_2020)
        outbox = charger.model.delivery.outbox
        before = len(list(outbox.durable()))

        charger.model.station.transactions.end_all("ImmediateReset")

        events = [message.payload["eventType"] for message in list(outbox.durable())[before:]]
        assert events == ["Ended"] * 3
