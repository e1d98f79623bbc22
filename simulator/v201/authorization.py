"""OCPP 2.0.1: Authorize, the local authorization list, customer information, and reservations."""

from typing import ClassVar

from simulator.charge_point.common_requests import ACCEPTED, REJECTED, CommonRequests, read_expiry
from simulator.charge_point.translation import handles
from simulator.link.frames import Payload
from simulator.station.authorization import TokenInfo
from simulator.station.model import Reservation, Token


class Authorization201(CommonRequests):
    info_field: ClassVar[str] = "idTokenInfo"

    def authorize_payload(self, token: Token) -> Payload:
        return {"idToken": describe_token(token)}

    def read_token_info(self, info: Payload) -> TokenInfo:
        return TokenInfo(
            info["status"],
            read_group(info),
            read_expiry(info.get("cacheExpiryDateTime")),
            evse_ids=info.get("evseId", ()),
        )

    @handles("GetLocalListVersion")
    def _get_local_list_version(self, _: Payload) -> Payload:
        enabled = self.options.flag("local_list_enabled")
        return {"versionNumber": self.authorizer.list_version if enabled else 0}

    @handles("SendLocalList")
    def _send_local_list(self, payload: Payload) -> Payload:
        entries = [
            (entry["idToken"]["idToken"], entry.get("idTokenInfo"))
            for entry in payload.get("localAuthorizationList", [])
        ]
        return self.update_local_list(payload["versionNumber"], entries, payload["updateType"])

    @handles("CustomerInformation", when_busy=REJECTED)
    def _customer_information(self, payload: Payload) -> Payload:
        """The charger knows customers by their tokens only: by the cache and the local list."""
        if not payload["report"] and not payload["clear"]:
            return REJECTED
        if sum(key in payload for key in ("idToken", "customerIdentifier", "customerCertificate")) != 1:
            return {"status": "Invalid"}
        data = ""
        if "idToken" in payload:
            token = read_token(payload["idToken"])
            known = self.authorizer.find(token)
            data = f"idToken {token.value}: {known.status}" if known else ""
            if payload["clear"]:
                self.authorizer.cache.pop(token.value.lower(), None)
                self.keep_state()
        self.send(
            "NotifyCustomerInformation",
            {
                "data": data if payload["report"] else "",
                "seqNo": 0,
                "generatedAt": self.clock.stamp(),
                "requestId": payload["requestId"],
            },
            requested=True,
        )
        return ACCEPTED

    def report_reservation_ended(self, reservation: Reservation, status: str) -> None:
        payload = {"reservationId": reservation.id, "reservationUpdateStatus": status}
        self.send_durable("ReservationStatusUpdate", payload)

    @handles("ReserveNow")
    def _reserve_now(self, payload: Payload) -> Payload:
        numbers = (
            [payload["evseId"]] if "evseId" in payload else [each.number for each in self.station.connectors]
        )
        requested = payload.get("connectorType")
        has_type = any(_has_type(self.settings.type_of(number), requested) for number in numbers)
        if payload.get("evseId") == 0 or not has_type:  # for any EVSE there is no evseId
            return REJECTED
        return self.reserve(
            payload["id"],
            payload.get("evseId", 0),
            read_token(payload["idToken"]),
            group=read_group(payload),
            expiry=payload["expiryDateTime"],
        )


#: ConnectorEnumType by what a charger's connector type contains; of any other, every type is accepted.
CONNECTOR_TYPES = {
    "CCS1": {"cCCS1"},
    "CCS2": {"cCCS2"},
    "CHADEMO": {"cG105"},
    "NACS": {"cTesla"},
    "TYPE1": {"cType1"},
    "TYPE2": {"cType2", "sType2"},
}


def _has_type(connector_type: str, requested: str | None) -> bool:
    """Whether a charger with this connector type can keep a connector of the requested one (H01, TC_H_15)."""
    if requested in (None, "Undetermined", "Unknown"):
        return True
    has = next((types for name, types in CONNECTOR_TYPES.items() if name in connector_type.upper()), None)
    return has is None or requested in has


def describe_token(token: Token) -> Payload:
    return {"idToken": token.value, "type": token.kind}


def read_token(payload: Payload) -> Token:
    return Token(payload["idToken"], payload["type"])


def read_group(payload: Payload) -> str | None:
    group = payload.get("groupIdToken")
    return group["idToken"] if group else None
