"""OCPP 1.6J."""

from simulator.charge_point import ChargePoint
from simulator.frames import Payload


class ChargePoint16(ChargePoint):
    subprotocol = "ocpp1.6"
    schema_set = "v16"

    def boot_payload(self) -> Payload:
        return {
            "chargePointVendor": self.settings.vendor_name[:20],
            "chargePointModel": self.settings.model[:20],
            "chargePointSerialNumber": self.settings.identity[:25],
            "firmwareVersion": self.settings.firmware_version[:50],
        }

    def reporting_numbers(self) -> range:
        """Connector 0 is the charger as a whole."""
        return range(len(self.connectors) + 1)

    def status_of(self, connector_number: int) -> str:
        return "Available"

    def status_payload(self, connector_number: int, status: str) -> Payload:
        return {
            "connectorId": connector_number,
            "errorCode": "NoError",
            "status": status,
            "timestamp": self.clock.stamp(),
        }
