"""A charger without a connection that counts as accepted, for tests of many requests: nothing waits for a CSMS."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simulator.charge_point.charge_point import ChargePoint
from simulator.clock import format_time
from simulator.lifecycle import build_charge_point
from simulator.link import schemas
from simulator.log import EventLog
from simulator.settings import read_settings
from tests.simulator.charger import environment

Payload = dict[str, Any]
Fields = dict[str, Any]

NOW = time.time()
ABSOLUTE: Fields = {"kind": "Absolute", "schedule": {"startSchedule": format_time(NOW)}}


class Unconnected:
    def __init__(self, version: str, **more: object) -> None:
        self.remarks: list[str] = []
        log = EventLog(lambda line: self.remarks.append(json.loads(line)["message"]))
        settings = {"connectors": 2, "ev_plug_in_s": 0, "ev_unplug_s": "never"} | more
        self.model: ChargePoint = build_charge_point(
            read_settings(environment("ws://csms", version, **settings)), log
        )
        self.is_16 = version == "OCPP1.6"

    def answer(self, action: str, payload: Payload) -> Payload:
        """The answer to a request; the answer is valid by its schema."""
        answer: Payload = json.loads(json.dumps(self.model.answer(action, payload)))
        schemas.check_payload(self.model.version, action, answer, answer=True)
        return answer

    # Charging profiles

    def profile(self, limit: float = 6_000, **more: Any) -> Payload:
        """A ChargingProfile; `schedule` and `period` add to its schedule and to its first period."""
        purpose = more.pop("purpose", "TxDefaultProfile")
        period = {"startPeriod": 0, "limit": limit, **more.pop("period", {})}
        schedule = {
            "chargingRateUnit": more.pop("unit", "W"),
            "chargingSchedulePeriod": [period, *more.pop("then", [])],
            **more.pop("schedule", {}),
        }
        if not self.is_16:
            schedule["id"] = 1
        return {
            "chargingProfileId" if self.is_16 else "id": more.pop("id", 1),
            "stackLevel": more.pop("level", 0),
            "chargingProfilePurpose": self.name(purpose),
            "chargingProfileKind": more.pop("kind", "Relative"),
            "chargingSchedule": schedule if self.is_16 else [schedule],
            **more,
        }

    def name(self, purpose: str) -> str:
        """The purpose `Max` has another name in each version."""
        name_of_max = "ChargePointMaxProfile" if self.is_16 else "ChargingStationMaxProfile"
        return name_of_max if purpose == "Max" else purpose

    def install(self, number: int, limit: float = 6_000, **more: Any) -> Payload:
        """The answer to a SetChargingProfile with a `profile` of these fields."""
        profile = self.profile(limit, **more)
        if self.is_16:
            return self.answer("SetChargingProfile", {"connectorId": number, "csChargingProfiles": profile})
        return self.answer("SetChargingProfile", {"evseId": number, "chargingProfile": profile})

    def start(self, number: int, *, plug: bool = True, **more: Any) -> Payload:
        """The answer to the request for a transaction on this connector, whose car is plugged in at once."""
        if self.is_16:
            request: Payload = {"idTag": "TAG", "connectorId": number, **more}
            answer = self.answer("RemoteStartTransaction", request)
        else:
            token = {"idToken": "TAG", "type": "ISO14443"}
            request = {"idToken": token, "remoteStartId": 1, "evseId": number, **more}
            answer = self.answer("RequestStartTransaction", request)
        if plug:
            self.model.data_transfer.perform("PlugIn", {"connector": number})
        return answer

    def composite(self, number: int, duration_s: int, unit: str = "W") -> Payload:
        """The schedule of a GetCompositeSchedule; None when it is rejected."""
        place = "connectorId" if self.is_16 else "evseId"
        request = {place: number, "duration": duration_s, "chargingRateUnit": unit}
        answer = self.answer("GetCompositeSchedule", request)
        schedule: Payload = answer["chargingSchedule" if self.is_16 else "schedule"]
        return schedule

    def power_w(self, number: int = 1) -> float:
        return self.model.station.connectors[number - 1].power_w


@contextmanager
def unconnected(version: str, **more: object) -> Iterator[Unconnected]:
    """In a running event loop."""
    charger = Unconnected(version, **more)
    charger.model.power_on()
    charger.model.registration.status, charger.model.online = "Accepted", True
    try:
        yield charger
    finally:
        charger.model.power_off()


def later(start_s: float, limit: float = 1) -> Fields:
    """A later period of a charging schedule."""
    return {"startPeriod": start_s, "limit": limit}


def outcome(charger: Unconnected, answer: Fields) -> str:
    """`Accepted`, or the reason code of a refusal. OCPP 1.6 has no codes: there the log says why."""
    if answer["status"] == "Accepted":
        return "Accepted"
    assert answer["status"] == "Rejected"
    if charger.is_16:
        assert charger.remarks[-1].startswith("the charging profile is refused: ")
        return "Rejected"
    assert answer["statusInfo"]["additionalInfo"]
    return str(answer["statusInfo"]["reasonCode"])
