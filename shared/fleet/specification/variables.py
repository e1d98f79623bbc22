"""The specification as the variables that a charger's process reads (docs/ocpp.md): the one place that knows both names."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

Settings = Mapping[str, Any]  #: as a body of the API has them

#: By their key in the settings; a number or a text.
PLAIN = {
    "serial_number": "CHARGER_SERIAL_NUMBER",
    "firmware_version": "CHARGER_FIRMWARE_VERSION",
    "iccid": "CHARGER_ICCID",
    "imsi": "CHARGER_IMSI",
    "meter_start_wh": "CHARGER_METER_START_WH",
    "boot_on_reconnect": "CHARGER_BOOT_ON_RECONNECT",
    "password_number": "CHARGER_PASSWORD_NUMBER",  # ours: +1 with each new password or key
}
#: By their key in an object of the settings.
MEMBERS = {
    "security": {"profile": "CHARGER_SECURITY_PROFILE", "ca_certificates": "CHARGER_CA_CERTIFICATES"},
    "vehicle": {
        "plug_in_after_s": "CHARGER_EV_PLUG_IN_S",
        "leave_after_s": "CHARGER_EV_UNPLUG_S",
        "energy_wh": "CHARGER_EV_ENERGY_WH",
        "battery_wh": "CHARGER_EV_BATTERY_WH",
        "soc_percent": "CHARGER_EV_SOC_PERCENT",
        "max_power_w": "CHARGER_EV_MAX_POWER_W",
        "curve": "CHARGER_EV_CURVE",
        "phases": "CHARGER_EV_PHASES",
        "power_factor": "CHARGER_EV_POWER_FACTOR",
    },
    "visitors": {"every_s": "CHARGER_VISITOR_EVERY_S", "id_tag": "CHARGER_VISITOR_ID_TAG"},
    "reconnect": {
        "wait_s": "CHARGER_RETRY_WAIT_S",
        "random_s": "CHARGER_RETRY_RANDOM_S",
        "max_s": "CHARGER_RETRY_MAX_S",
    },
}
#: Passed as JSON.
DOCUMENTS = {"configuration": "CHARGER_CONFIGURATION", "scenario": "CHARGER_SCENARIO"}
#: By their name among the sealed ones.
SECRETS = {"password": "CHARGER_PASSWORD", "authorization_key_hex": "CHARGER_AUTHORIZATION_KEY"}


class Specified(Protocol):
    """A charger's row, as the specification needs it."""

    @property
    def identity(self) -> str: ...
    @property
    def ws_url(self) -> str: ...
    @property
    def ocpp_version(self) -> str: ...
    @property
    def vendor_name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def number_of_connectors(self) -> int: ...
    @property
    def connector_type(self) -> str: ...
    @property
    def max_charging_power(self) -> int: ...
    @property
    def name(self) -> str | None: ...
    @property
    def location_name(self) -> str | None: ...


def variables_of(
    charger: Specified, settings: Settings | None, secrets: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables of the charger's process. Empty values are left out, so that its own defaults count."""
    variables = {
        "CHARGER_IDENTITY": charger.identity,
        "CHARGER_WS_URL": charger.ws_url,
        "CHARGER_OCPP_VERSION": charger.ocpp_version,
        "CHARGER_VENDOR_NAME": charger.vendor_name,
        "CHARGER_MODEL": charger.model,
        "CHARGER_CONNECTORS": str(charger.number_of_connectors),
        "CHARGER_CONNECTOR_TYPE": charger.connector_type,
        "CHARGER_MAX_POWER_W": str(charger.max_charging_power),
        "CHARGER_NAME": charger.name,
        "CHARGER_LOCATION_NAME": charger.location_name,
        **dict(_of_settings(settings or {})),
        **{SECRETS[name]: secret for name, secret in (secrets or {}).items()},
    }
    return {name: value for name, value in variables.items() if value}


def _of_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    for key, variable in PLAIN.items():
        if key in settings:
            yield variable, _text(settings[key])
    for key, members in MEMBERS.items():
        for member, value in settings.get(key, {}).items():
            if member in members:
                yield members[member], _text(value)
    for key, variable in DOCUMENTS.items():
        if key in settings:
            yield variable, json.dumps(settings[key], ensure_ascii=False)
    if types := settings.get("connectors", {}).get("types"):
        yield "CHARGER_CONNECTOR_TYPES", ",".join(types)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
