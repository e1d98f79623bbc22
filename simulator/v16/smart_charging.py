"""OCPP 1.6: charging profiles and composite schedules."""

from simulator.charge_point.common_requests import REJECTED
from simulator.charge_point.translation import handles
from simulator.clock import format_time
from simulator.link.frames import Payload
from simulator.v16.transactions import Transactions16


class SmartCharging16(Transactions16):
    @handles("SetChargingProfile")
    def _set_charging_profile(self, payload: Payload) -> Payload:
        number, given = payload["connectorId"], payload["csChargingProfiles"]
        connector = self.station.connector(number)
        if connector is None and number != 0:
            return REJECTED
        transaction_id = None
        match given["chargingProfilePurpose"]:
            case "ChargePointMaxProfile" if number != 0:
                return REJECTED
            case "TxProfile":
                if connector is None or connector.transaction is None:
                    return REJECTED
                if given.get("transactionId") not in (None, self.csms_id(connector.transaction)):
                    return REJECTED
                transaction_id = connector.transaction.id
        return self.set_profile(given, number, transaction_id)

    @handles("ClearChargingProfile")
    def _clear_charging_profile(self, payload: Payload) -> Payload:
        return self.remove_profiles(
            [
                profile
                for profile in self.station.profiles
                if payload.get("id") == profile.id
                or (
                    "id" not in payload
                    and payload.get("connectorId") in (None, profile.connector_number)
                    and payload.get("chargingProfilePurpose") in (None, profile.purpose)
                    and payload.get("stackLevel") in (None, profile.stack_level)
                )
            ]
        )

    @handles("GetCompositeSchedule")
    def _get_composite_schedule(self, payload: Payload) -> Payload:
        now = self.clock.now()
        schedule = self.composite_schedule(payload["connectorId"], now, payload)
        if schedule is None:
            return REJECTED
        start = format_time(now)
        return {
            "status": "Accepted",
            "connectorId": payload["connectorId"],
            "scheduleStart": start,
            "chargingSchedule": schedule | {"startSchedule": start},
        }
