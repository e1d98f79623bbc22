"""The values of options that follow from the charger's settings."""

from simulator.charge_point.network import retry_options
from simulator.settings import Settings
from simulator.station.model import electrics_of


def facts_of(settings: Settings) -> dict[str, str]:
    """The options that follow from the settings."""
    profile = 0 if settings.password is None else 2 if settings.ws_url.startswith("wss:") else 1
    return {
        "connectors": str(settings.connectors),
        "phase_rotation_max": str(settings.connectors + 1),
        "security_profile": str(profile),
        **retry_options(settings),
    }


def fixed_options(connector_type: str, max_power_w: float) -> dict[str, str]:
    """Options that this charger's hardware decides: a cable that is fixed to it is never unlocked (OCPP 2.0.1, part 2, appendix)."""
    return {"unlock_on_unplug": "false"} if electrics_of(connector_type, max_power_w).is_dc else {}
