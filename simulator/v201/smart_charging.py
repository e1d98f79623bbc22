"""OCPP 2.0.1: charging profiles and composite schedules."""

from simulator.charge_point.common_requests import ACCEPTED, REJECTED, CommonRequests
from simulator.charge_point.translation import handles
from simulator.clock import format_time
from simulator.link.frames import Payload
from simulator.station.smart_charging import Profile


class SmartCharging201(CommonRequests):
    @handles("SetChargingProfile")
    def _set_charging_profile(self, payload: Payload) -> Payload:
        number, given = payload["evseId"], payload["chargingProfile"]
        connector = self.station.connector(number)
        if connector is None and number != 0:
            return REJECTED
        transaction_id = None
        match given["chargingProfilePurpose"]:
            case "ChargingStationMaxProfile" | "ChargingStationExternalConstraints" if number != 0:
                return REJECTED
            case "TxProfile":
                transaction_id = given.get("transactionId")
                running = self.station.transactions.find(transaction_id or "")
                if connector is None or running is not connector:
                    return REJECTED
        return self.set_profile(given, number, transaction_id)

    @handles("ClearChargingProfile")
    def _clear_charging_profile(self, payload: Payload) -> Payload:
        criteria = payload.get("chargingProfileCriteria", {})
        return self.remove_profiles(
            [
                profile
                for profile in self.station.profiles
                if payload.get("chargingProfileId") == profile.id
                or ("chargingProfileId" not in payload and _fits(profile, criteria))
            ]
        )

    @handles("GetChargingProfiles")
    def _get_charging_profiles(self, payload: Payload) -> Payload:
        criteria = payload["chargingProfile"]
        if "CSO" not in criteria.get("chargingLimitSource", ["CSO"]):
            return {"status": "NoProfiles"}
        place: Payload = {"evseId": payload["evseId"]} if "evseId" in payload else {}
        found = [profile for profile in self.station.profiles if _fits(profile, criteria | place)]
        if "chargingProfileId" in criteria:
            found = [profile for profile in found if profile.id in criteria["chargingProfileId"]]
        numbers = sorted({profile.connector_number for profile in found})
        for number in numbers:
            report = {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "chargingProfile": [p.payload for p in found if p.connector_number == number],
                "evseId": number,
                "tbc": number != numbers[-1],
            }
            self.send("ReportChargingProfiles", report)
        return ACCEPTED if found else {"status": "NoProfiles"}

    @handles("GetCompositeSchedule")
    def _get_composite_schedule(self, payload: Payload) -> Payload:
        now = self.clock.now()
        schedule = self.composite_schedule(payload["evseId"], now, payload)
        if schedule is None:
            return REJECTED
        place = {"evseId": payload["evseId"], "scheduleStart": format_time(now)}
        return {"status": "Accepted", "schedule": schedule | place}


def _fits(profile: Profile, criteria: Payload) -> bool:
    return (
        criteria.get("evseId") in (None, profile.connector_number)
        and criteria.get("chargingProfilePurpose") in (None, profile.purpose)
        and criteria.get("stackLevel") in (None, profile.stack_level)
    )
