"""OCPP 2.0.1. Each connector of the model is an EVSE with one connector."""

from simulator.charge_point import ChargePoint
from simulator.frames import Payload


class ChargePoint201(ChargePoint):
    subprotocol = "ocpp2.0.1"
    schema_set = "v201"

    def boot_payload(self) -> Payload:
        return {
            "reason": "PowerUp",
            "chargingStation": {
                "vendorName": self.settings.vendor_name[:50],
                "model": self.settings.model[:20],
                "serialNumber": self.settings.identity[:25],
                "firmwareVersion": self.settings.firmware_version[:50],
            },
        }

    def reporting_numbers(self) -> range:
        return range(1, len(self.connectors) + 1)

    def status_of(self, connector_number: int) -> str:
        return "Available"

    def status_payload(self, connector_number: int, status: str) -> Payload:
        return {
            "timestamp": self.clock.stamp(),
            "connectorStatus": status,
            "evseId": connector_number,
            "connectorId": 1,
        }
