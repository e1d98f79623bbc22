"""OCPP 2.0.1: charging profiles and composite schedules."""

import math
from collections.abc import Callable
from itertools import groupby

from ocpp.exceptions import GenericError  # type: ignore[import-untyped]

from simulator.charge_point.charging_profiles import ProfileRefused, refuse_if, schedules_of
from simulator.charge_point.common_requests import ACCEPTED, CommonRequests
from simulator.charge_point.translation import handles
from simulator.clock import format_time
from simulator.link.frames import Payload
from simulator.station.smart_charging.profile import Profile
from simulator.v201.answers import rejected
from simulator.v201.transactions import read_transaction_id

#: Profiles in one report: with 100 periods each they are some 50 kB.
REPORTED_AT_ONCE = 10


class SmartCharging201(CommonRequests):
    @handles("SetChargingProfile")
    def _set_charging_profile(self, payload: Payload) -> Payload:
        number, given = payload["evseId"], payload["chargingProfile"]
        try:
            self.set_profile(given, number, self._transaction_of(number, given))
        except ProfileRefused as refused:
            return rejected(refused.code, str(refused))
        return ACCEPTED

    def _transaction_of(self, number: int, given: Payload) -> str | None:
        """The transaction that a TxProfile is for. Raises ProfileRefused for a wrong EVSE or purpose."""
        purpose = given["chargingProfilePurpose"]
        # K01.FR.22
        is_external = purpose == "ChargingStationExternalConstraints"
        refuse_if(is_external, "InvalidProfile", "a CSMS sets no external constraints")
        connector = self.station.connector(number)
        refuse_if(connector is None and number != 0, "UnknownEvse", f"there is no EVSE {number}")
        at_station = purpose != "ChargingStationMaxProfile" or number == 0
        refuse_if(not at_station, "InvalidValue", "a ChargingStationMaxProfile is for EVSE 0")
        if purpose != "TxProfile":
            return None
        # K01.FR.16, .03, .09 and .33
        refuse_if(number == 0, "InvalidValue", "a TxProfile is for one EVSE")
        transaction_id = read_transaction_id(given)
        if transaction_id is None:
            raise ProfileRefused("MissingParam", "a TxProfile has a transactionId")
        runs_here = self.station.transactions.find(transaction_id) is connector
        refuse_if(not runs_here, "TxNotFound", f"EVSE {number} does not have that transaction")
        return transaction_id

    def check_profile(self, given: Payload) -> None:
        schedules = schedules_of(given)
        refuse_if(len(schedules) > 1, "InvalidSchedule", "several schedules are for ISO 15118 only")
        refuse_if("salesTariff" in schedules[0], "UnsupportedParam", "a salesTariff is for ISO 15118 only")
        kind, has_start = given["chargingProfileKind"], "startSchedule" in schedules[0]
        # K01.FR.38 and .40
        of_station = given["chargingProfilePurpose"] == "ChargingStationMaxProfile"
        refuse_if(
            of_station and kind == "Relative", "InvalidValue", "a ChargingStationMaxProfile is never Relative"
        )
        refuse_if(
            kind != "Relative" and not has_start, "InvalidSchedule", f"{kind} profiles have a startSchedule"
        )
        for period in schedules[0]["chargingSchedulePeriod"]:
            self._check_phases(period)

    def _check_phases(self, period: Payload) -> None:
        """Refuses what K01.FR.44 and .45 would silently change, as EVerest's libocpp does."""
        electrics, phases = self.station.electrics, period.get("numberPhases")
        # K01.FR.19, .20 and .48: the charger has no ACPhaseSwitchingSupported.
        refuse_if(
            "phaseToUse" in period, "UnsupportedParam", "the charger does not switch phases: no phaseToUse"
        )
        refuse_if(electrics.is_dc and phases is not None, "InvalidSchedule", "numberPhases is not for DC")
        too_many = phases is not None and phases > electrics.phases
        refuse_if(too_many, "InvalidSchedule", f"more phases than the {electrics.phases} of the charger")

    def profiles_replaced_by(self, profile: Profile) -> list[Profile]:
        """The one of the same id (K01.FR.05)."""
        others = [each for each in self.station.profiles if each.id != profile.id]
        conflict = next((each for each in others if _conflict(profile, each)), None)
        if conflict:
            raise ProfileRefused(
                "DuplicateProfile", f"profile {conflict.id} has that purpose and stack level"
            )
        return super().profiles_replaced_by(profile)

    @handles("ClearChargingProfile")
    def _clear_charging_profile(self, payload: Payload) -> Payload:
        """By id, or else by criteria that are all met (K10.FR.03, .04)."""
        if "chargingProfileId" in payload:
            return self.remove_profiles(
                each for each in self.station.profiles if each.id == payload["chargingProfileId"]
            )
        fits = _criteria(payload.get("chargingProfileCriteria", {}))
        return self.remove_profiles(filter(fits, self.station.profiles))

    @handles("GetChargingProfiles")
    def _get_charging_profiles(self, payload: Payload) -> Payload:
        """Every profile comes from the CSMS: its source is CSO (K09)."""
        if self.delivery.outbox.is_busy:
            raise GenericError("too many messages wait")  # the answer has no status for it
        criteria = payload["chargingProfile"]
        place: Payload = {"evseId": payload["evseId"]} if "evseId" in payload else {}
        fits, ids = _criteria(criteria | place), criteria.get("chargingProfileId")
        found = [each for each in self.station.profiles if fits(each) and (ids is None or each.id in ids)]
        if not found or "CSO" not in criteria.get("chargingLimitSource", ["CSO"]):
            return {"status": "NoProfiles"}
        self._report_profiles(payload["requestId"], found)
        return ACCEPTED

    def _report_profiles(self, request_id: int, profiles: list[Profile]) -> None:
        """Each report is about one EVSE; all but the last are to be continued (K09.FR.01, .02)."""
        by_evse = groupby(sorted(profiles, key=_evse), key=_evse)
        pages = [
            (number, page) for number, group in by_evse for page in _pages(list(group), REPORTED_AT_ONCE)
        ]
        for index, (number, page) in enumerate(pages):
            report = {
                "requestId": request_id,
                "chargingLimitSource": "CSO",
                "chargingProfile": [self._describe(profile) for profile in page],
                "evseId": number,
                "tbc": index + 1 < len(pages),
            }
            self.send("ReportChargingProfiles", report, requested=True)

    def _describe(self, profile: Profile) -> Payload:
        """As the CSMS sent it; that of a requested start also with its transaction, once that runs."""
        transaction_id = profile.transaction_id
        if transaction_id is None or self.station.transactions.find(transaction_id) is None:
            return profile.payload
        return profile.payload | {"transactionId": transaction_id}

    @handles("GetCompositeSchedule")
    def _get_composite_schedule(self, payload: Payload) -> Payload:
        start = math.ceil(self.clock.now())
        try:
            schedule = self.composite_schedule(payload["evseId"], start, payload)
        except ProfileRefused as refused:
            return rejected(refused.code, str(refused))
        place = {"evseId": payload["evseId"], "scheduleStart": format_time(start)}
        return {"status": "Accepted", "schedule": schedule | place}


def _conflict(new: Profile, old: Profile) -> bool:
    """Whether two profiles cannot both be installed: no rule would say which of them counts."""
    has_expired = old.valid_to <= new.received_at
    if has_expired or (new.purpose, new.stack_level) != (old.purpose, old.stack_level):
        return False
    if new.purpose == "TxProfile":  # K01.FR.39
        return new.transaction_id == old.transaction_id
    if new.connector_number != old.connector_number:  # K01.FR.52 and .53
        return 0 in (new.connector_number, old.connector_number)
    return new.valid_from < old.valid_to and old.valid_from < new.valid_to  # K01.FR.06


def _criteria(criteria: Payload) -> Callable[[Profile], bool]:
    """Whether a profile meets all of the criteria that are there."""
    return lambda profile: (
        criteria.get("evseId") in (None, profile.connector_number)
        and criteria.get("chargingProfilePurpose") in (None, profile.purpose)
        and criteria.get("stackLevel") in (None, profile.stack_level)
    )


def _evse(profile: Profile) -> int:
    return profile.connector_number


def _pages(profiles: list[Profile], size: int) -> list[list[Profile]]:
    return [profiles[start : start + size] for start in range(0, len(profiles), size)]
