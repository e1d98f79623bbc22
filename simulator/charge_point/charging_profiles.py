"""Reads the ChargingProfile of any OCPP version, and refuses one that could not be obeyed."""

from collections.abc import Mapping
from itertools import pairwise

from simulator.clock import parse_time
from simulator.link.frames import Payload
from simulator.station.model import Electrics
from simulator.station.smart_charging.profile import TX_PURPOSES, UNLIMITED, Period, Profile

RECURRENCE_S = {"Daily": 86_400.0, "Weekly": 7 * 86_400.0}


class ProfileRefused(Exception):
    """Says why a profile is not installed; `code` is a reason code of OCPP 2.0.1 (part 2, appendix 5)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def refuse_if(wrong: object, code: str, reason: str) -> None:
    """Raises ProfileRefused if `wrong` is true."""
    if wrong:
        raise ProfileRefused(code, reason)


def read_profile(
    given: Payload,
    connector_number: int,
    transaction_id: str | None,
    *,
    electrics: Electrics,
    received_at: float,
) -> Profile:
    """Raises ProfileRefused. A relative profile of the whole charger starts when it is received (OCPP 1.6 part 1, 7.9).

    The rules that each OCPP version adds are with its SetChargingProfile.
    """
    purpose = given["chargingProfilePurpose"]
    schedule = schedules_of(given)[0]
    start = _read_time(schedule, "startSchedule")
    _check_kind(given, start)
    valid_from, valid_to = _read_time(given, "validFrom"), _read_time(given, "validTo")
    valid_from = -UNLIMITED if valid_from is None else valid_from
    valid_to = UNLIMITED if valid_to is None else valid_to
    refuse_if(
        valid_to <= max(valid_from, received_at),
        "InvalidProfile",
        "validTo has passed, or is not after validFrom",
    )
    return Profile(
        id=given["id"] if "id" in given else given["chargingProfileId"],
        connector_number=connector_number,
        stack_level=given["stackLevel"],
        purpose=purpose,
        transaction_id=transaction_id,
        start=received_at if start is None and purpose not in TX_PURPOSES else start,
        recurrence_s=RECURRENCE_S[given["recurrencyKind"]] if "recurrencyKind" in given else UNLIMITED,
        duration_s=_read_duration(schedule),
        valid_from=valid_from,
        valid_to=valid_to,
        periods=_read_periods(schedule, electrics, _assumed_phases(given, electrics)),
        received_at=received_at,
        payload=given,
    )


def schedules_of(given: Payload) -> list[Payload]:
    """OCPP 1.6 has one schedule, 2.0.1 a list."""
    schedules = given["chargingSchedule"]
    return schedules if isinstance(schedules, list) else [schedules]


def _assumed_phases(given: Payload, electrics: Electrics) -> int:
    """The phases that a period without numberPhases is for.

    In OCPP 2.0.1 they are three for the limit of a connector: a limit in W is a current, which is the same on each of
    them (K01.FR.49 and .50 with the erratum of 2025-06). In 1.6 the limit is used as it is given (errata 3.34).
    """
    is_201, of_connector = "id" in given, given["chargingProfilePurpose"] in TX_PURPOSES
    return 3 if is_201 and of_connector and not electrics.is_dc else electrics.phases


def _check_kind(given: Payload, start: float | None) -> None:
    kind = given["chargingProfileKind"]
    recurs = "recurrencyKind" in given
    refuse_if(
        recurs != (kind == "Recurring"),
        "InvalidProfile",
        "recurrencyKind belongs to a Recurring profile, and only there",
    )
    # OCPP 2.0.1 K01.FR.41; in 1.6 it is the start of an absolute schedule (part 1, 7.13).
    refuse_if(
        kind == "Relative" and start is not None, "InvalidSchedule", "a Relative profile has no startSchedule"
    )
    is_for_transaction = given["chargingProfilePurpose"] == "TxProfile"
    refuse_if(
        "transactionId" in given and not is_for_transaction,
        "InvalidProfile",
        "only a TxProfile has a transactionId",
    )


def _read_time(fields: Mapping[str, str], name: str) -> float | None:
    try:
        return parse_time(fields[name]) if name in fields else None
    except ValueError:
        raise ProfileRefused("InvalidValue", f"{name} is not a time") from None


def _read_duration(schedule: Payload) -> float:
    duration_s = _number(schedule.get("duration", UNLIMITED))
    refuse_if(not duration_s > 0, "InvalidSchedule", "the duration is not above 0")
    return duration_s


def _read_periods(schedule: Payload, electrics: Electrics, assumed_phases: int) -> list[Period]:
    least, unit = _number(schedule.get("minChargingRate", 0.0)), schedule["chargingRateUnit"]
    refuse_if(not 0 <= least < UNLIMITED, "InvalidSchedule", "minChargingRate is no possible rate")
    periods = []
    for given in schedule["chargingSchedulePeriod"]:
        watts = _watts_of_one(unit, given.get("numberPhases"), electrics, assumed_phases)
        periods.append(_read_period(given, watts, least))
    # OCPP 2.0.1 K01.FR.31 and .35; 1.6 part 1, 7.14.
    starts = [period.start_s for period in periods]
    refuse_if(starts[:1] != [0], "InvalidSchedule", "the first period does not start at 0")
    in_order = all(earlier < later < UNLIMITED for earlier, later in pairwise(starts))
    refuse_if(not in_order, "InvalidSchedule", "the periods are not in the order of their starts")
    return periods


def _watts_of_one(unit: str, phases: int | None, electrics: Electrics, assumed_phases: int) -> float:
    """What one unit of a limit is at this charger."""
    if unit == "A":
        return electrics.watts(1.0, phases)
    return 1.0 if phases else min(electrics.phases / assumed_phases, 1.0)


def _read_period(given: Payload, watts_of_one: float, least: float) -> Period:
    limit, phases = _number(given["limit"]), given.get("numberPhases")
    refuse_if(not 0 <= limit < UNLIMITED, "InvalidSchedule", "a limit is no possible rate")
    refuse_if(phases is not None and not 1 <= phases <= 3, "InvalidSchedule", "numberPhases is not 1, 2 or 3")
    return Period(_number(given["startPeriod"]), limit * watts_of_one, phases, least * watts_of_one)


def _number(value: float) -> float:
    """Infinity for an integer that is too large for a float."""
    try:
        return float(value)
    except OverflowError:
        return UNLIMITED if value > 0 else -UNLIMITED
