"""The health of a charger, and the state of its connectors."""

from typing import Any

from simulator.actions.place import describe_connector
from simulator.charge_point.charge_point import ChargePoint


def describe_health(charge_point: ChargePoint) -> dict[str, Any]:
    """`status` is `ok` while the CSMS has accepted the charger over the present link."""
    return {
        "status": "ok" if charge_point.reachable else "offline",
        "charger": {
            "identity": charge_point.settings.identity,
            "ocpp_version": charge_point.version.name,
            "firmware_version": charge_point.maintenance.firmware_version,
        },
        "components": {
            "csms": {
                "url": charge_point.network.settings().url,
                "connected": charge_point.online,
                "registration": charge_point.registration.status,
                "waiting_messages": sum(1 for _ in charge_point.delivery.outbox.durable()),
            },
            "connectors": describe_connectors(charge_point),
            "state_file": "used" if charge_point.memory.enabled else "none",
        },
    }


def describe_connectors(charge_point: ChargePoint) -> list[dict[str, Any]]:
    """As they are now."""
    charge_point.station.energy.update_meters()
    return [describe_connector(charge_point, connector) for connector in charge_point.station.connectors]
