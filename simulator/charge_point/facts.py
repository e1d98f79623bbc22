"""The options that follow from the settings."""

from collections.abc import Mapping

from simulator.charge_point.network import retry_options
from simulator.settings import Settings
from simulator.station.model import electrics_of


def facts_of(settings: Settings) -> dict[str, str]:
    """The defaults of this charger, where the settings decide them."""
    has_password = settings.password_bytes is not None
    profile = settings.security_profile
    if profile is None:
        profile = 0 if not has_password else 2 if settings.ws_url.startswith("wss:") else 1
    return {
        "connectors": str(settings.connectors),
        "phase_rotation_max": str(settings.connectors + 1),
        "security_profile": str(profile),
        **retry_options(settings),
    }


def base_options(settings: Settings, of_version: Mapping[str, str]) -> dict[str, str]:
    """The defaults of this charger, where the settings, its OCPP version or its hardware decide them."""
    return {**facts_of(settings), **of_version, **fixed_options(settings)}


def fixed_options(settings: Settings) -> dict[str, str]:
    """Options that this charger's hardware decides: a cable that is fixed to it is never unlocked (OCPP 2.0.1, part 2, appendix)."""
    is_dc = electrics_of(settings.connector_type, settings.max_power_w).is_dc
    return {"unlock_on_unplug": "false"} if is_dc else {}


def sim_card(settings: Settings) -> dict[str, str]:
    """As BootNotification has it, in each version under these names."""
    return {name: text[:20] for name, text in (("iccid", settings.iccid), ("imsi", settings.imsi)) if text}
