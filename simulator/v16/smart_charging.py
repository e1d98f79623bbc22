"""OCPP 1.6: charging profiles and composite schedules."""

import math

from ocpp.exceptions import PropertyConstraintViolationError  # type: ignore[import-untyped]

from simulator.charge_point.charging_profiles import ProfileRefused, refuse_if
from simulator.charge_point.common_requests import ACCEPTED, REJECTED
from simulator.charge_point.translation import handles
from simulator.clock import format_time
from simulator.link.frames import Payload
from simulator.station.smart_charging.profile import Profile
from simulator.v16.transactions import Transactions16


class SmartCharging16(Transactions16):
    @handles("SetChargingProfile")
    def _set_charging_profile(self, payload: Payload) -> Payload:
        number, given = payload["connectorId"], payload["csChargingProfiles"]
        if not 0 <= number <= len(self.station.connectors):  # errata 3.39
            raise PropertyConstraintViolationError(f"there is no connector {number}")
        try:
            self.set_profile(given, number, self._transaction_of(number, given))
        except ProfileRefused as refused:
            self.log.remark("warning", f"the charging profile is refused: {refused}")
            return REJECTED
        return ACCEPTED

    def _transaction_of(self, number: int, given: Payload) -> str | None:
        """Our id of the transaction that a TxProfile is for. Raises ProfileRefused for another connector's."""
        connector = self.station.connector(number)
        purpose = given["chargingProfilePurpose"]
        at_charger = purpose != "ChargePointMaxProfile" or number == 0
        refuse_if(not at_charger, "InvalidValue", "a ChargePointMaxProfile is for connector 0")
        if purpose != "TxProfile":
            return None
        transaction = connector.transaction if connector else None
        if transaction is None or given.get("transactionId") not in (None, self.csms_id(transaction)):
            raise ProfileRefused("TxNotFound", f"connector {number} does not have that transaction")
        return transaction.id

    def profiles_replaced_by(self, profile: Profile) -> list[Profile]:
        """Those of the same id, or of the same purpose and stack level at the connector (part 1, 5.16.3)."""
        place = _place(profile)
        return [each for each in self.station.profiles if each.id == profile.id or _place(each) == place]

    @handles("ClearChargingProfile")
    def _clear_charging_profile(self, payload: Payload) -> Payload:
        """By id, or else by criteria that are all met (part 1, 6.13 with errata 3.26)."""
        if "id" in payload:
            return self.remove_profiles(each for each in self.station.profiles if each.id == payload["id"])
        return self.remove_profiles(
            profile
            for profile in self.station.profiles
            if payload.get("connectorId") in (None, profile.connector_number)
            and payload.get("chargingProfilePurpose") in (None, profile.purpose)
            and payload.get("stackLevel") in (None, profile.stack_level)
        )

    @handles("GetCompositeSchedule")
    def _get_composite_schedule(self, payload: Payload) -> Payload:
        start = math.ceil(self.clock.now())
        try:
            schedule = self.composite_schedule(payload["connectorId"], start, payload)
        except ProfileRefused:
            return REJECTED
        return {
            "status": "Accepted",
            "connectorId": payload["connectorId"],
            "scheduleStart": format_time(start),
            "chargingSchedule": schedule | {"startSchedule": format_time(start)},
        }


def _place(profile: Profile) -> tuple[object, ...]:
    return profile.purpose, profile.stack_level, profile.connector_number, profile.transaction_id
