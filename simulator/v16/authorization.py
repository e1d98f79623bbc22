"""OCPP 1.6: Authorize, the local authorization list, and reservations."""

from typing import ClassVar

from simulator.charge_point.common_requests import CommonRequests, read_expiry
from simulator.charge_point.translation import handles
from simulator.link.frames import Payload
from simulator.station.authorization import TokenInfo
from simulator.station.model import Reservation, Token


class Authorization16(CommonRequests):
    info_field: ClassVar[str] = "idTagInfo"

    def authorize_payload(self, token: Token) -> Payload:
        return {"idTag": token.value}

    def read_token_info(self, info: Payload) -> TokenInfo:
        return TokenInfo(info["status"], info.get("parentIdTag"), read_expiry(info.get("expiryDate")))

    @handles("GetLocalListVersion")
    def _get_local_list_version(self, _: Payload) -> Payload:
        enabled = self.options.flag("local_list_enabled")
        return {"listVersion": self.authorizer.list_version if enabled else -1}

    @handles("SendLocalList")
    def _send_local_list(self, payload: Payload) -> Payload:
        if not self.options.flag("local_list_enabled"):
            return {"status": "NotSupported"}
        entries = [
            (entry["idTag"], entry.get("idTagInfo")) for entry in payload.get("localAuthorizationList", [])
        ]
        return self.update_local_list(payload["listVersion"], entries, payload["updateType"])

    def report_reservation_ended(self, reservation: Reservation, status: str) -> None:
        """1.6 has no message for it; the connector's status shows it."""

    @handles("ReserveNow")
    def _reserve_now(self, payload: Payload) -> Payload:
        return self.reserve(
            payload["reservationId"],
            payload["connectorId"],
            Token(payload["idTag"]),
            group=payload.get("parentIdTag"),
            expiry=payload["expiryDate"],
        )
