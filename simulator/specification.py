"""What a charger is to be, as the control link says it: the settings that follow, and how a running charger takes new ones."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.facts import base_options
from simulator.charge_point.memory import UNUSABLE, write_private
from simulator.configuration import OPTION_OF_NAME
from simulator.scenario.grammar import BadScenario
from simulator.settings import BadSettings, Settings, read_settings

#: The variables that a specification has or leaves out; those of the process say nothing then. What the operator sets for
#: all chargers (where they may connect to, the state file, the link itself) is not among them.
SPECIFIED = frozenset(
    """
    CHARGER_IDENTITY CHARGER_WS_URL CHARGER_OCPP_VERSION CHARGER_VENDOR_NAME CHARGER_MODEL CHARGER_CONNECTORS
    CHARGER_CONNECTOR_TYPE CHARGER_CONNECTOR_TYPES CHARGER_MAX_POWER_W CHARGER_NAME CHARGER_LOCATION_NAME
    CHARGER_SERIAL_NUMBER CHARGER_FIRMWARE_VERSION CHARGER_ICCID CHARGER_IMSI CHARGER_METER_START_WH
    CHARGER_BOOT_ON_RECONNECT CHARGER_SECURITY_PROFILE CHARGER_CA_CERTIFICATES CHARGER_PASSWORD
    CHARGER_AUTHORIZATION_KEY CHARGER_PASSWORD_NUMBER CHARGER_EV_PLUG_IN_S CHARGER_EV_UNPLUG_S
    CHARGER_EV_ENERGY_WH CHARGER_EV_BATTERY_WH CHARGER_EV_SOC_PERCENT CHARGER_EV_MAX_POWER_W CHARGER_EV_CURVE
    CHARGER_EV_PHASES CHARGER_EV_POWER_FACTOR CHARGER_VISITOR_EVERY_S CHARGER_VISITOR_ID_TAG CHARGER_RETRY_WAIT_S
    CHARGER_RETRY_RANDOM_S CHARGER_RETRY_MAX_S CHARGER_CONFIGURATION CHARGER_SCENARIO
    """.split()  # noqa: SIM905 - a name a line would be a page
)

#: Settings that a running charger takes as it is. All others need another charge point, which boots.
LIVE = frozenset(
    """
    ws_url password password_number authorization_key ca_certificates security_profile configuration
    meter_start_wh boot_on_reconnect retry_wait_s retry_random_s retry_max_s ev_plug_in_s ev_unplug_s ev_energy_wh
    ev_battery_wh ev_soc_percent ev_max_power_w ev_curve ev_phases session_every_s session_id_tag scenario
    """.split()  # noqa: SIM905 - a name a line would be a page
)
SECRETS = frozenset({"password", "authorization_key", "password_number"})
#: Those of the connection: the charger comes back at once with new ones.
RECONNECTS = SECRETS | {"ws_url", "ca_certificates", "security_profile"}


def specified(environ: Mapping[str, str], specification: Mapping[str, str]) -> Settings:
    """The settings of a process with these variables, and this specification. Raises BadSettings."""
    kept = {name: value for name, value in environ.items() if name not in SPECIFIED}
    return read_settings(kept | dict(specification))


def follow(charge_point: ChargePoint, new: Settings) -> bool:
    """Gives the running charger new settings. False, and nothing is changed, if they need another charge point.

    Raises BadSettings for a configuration or a scenario that the charger does not accept; then nothing is changed either.
    """
    differ = {
        each.name
        for each in fields(new)
        if getattr(new, each.name) != getattr(charge_point.settings, each.name)
    }
    if differ - LIVE:
        return False
    changed = _renew(charge_point, new)
    charge_point.settings.become(new)
    if differ & SECRETS:
        charge_point.options.reset(*charge_point.password_options)
    charge_point.network.follow()
    for name in changed:
        charge_point.apply_option(name)
    if "session_every_s" in differ:
        charge_point.station.restart_automatic_sessions()
    if "scenario" in differ:
        charge_point.scenarios.stop()
        charge_point.scenarios.begin()
    if any(OPTION_OF_NAME[name].counts_at_boot for name in changed):
        charge_point.reboot("LocalReset")
    elif differ & RECONNECTS:
        charge_point.upkeep.connect_again()
    charge_point.keep_state()
    return True


def _renew(charge_point: ChargePoint, new: Settings) -> set[str]:
    """Gives it the scenario and the options of these settings. Returns the names of the options that changed."""
    try:
        charge_point.scenarios.configure(new.scenario)
    except BadScenario as error:
        raise BadSettings(f"CHARGER_SCENARIO: {error}") from error
    try:
        return charge_point.options.renew(base_options(new, charge_point.option_defaults), new.configuration)
    except ValueError as error:
        charge_point.scenarios.configure(charge_point.settings.scenario)
        raise BadSettings(f"CHARGER_CONFIGURATION: {error}") from error


def store_specification(environ: Mapping[str, str], revision: int, specification: Mapping[str, str]) -> None:
    """Beside the state file, for a start without the link; nothing without a state file. Raises OSError."""
    if path := _path(environ):
        write_private(path, {"revision": revision, "environment": dict(specification)})


def recall_specification(environ: Mapping[str, str]) -> tuple[int, dict[str, str]] | None:
    """The revision and the variables that were stored last; None without, or when the file cannot be used."""
    path = _path(environ)
    try:
        stored = json.loads(path.read_text()) if path else None
        return None if stored is None else (int(stored["revision"]), dict(stored["environment"]))
    except UNUSABLE:
        return None


def _path(environ: Mapping[str, str]) -> Path | None:
    state_file = environ.get("CHARGER_STATE_FILE", "").strip()
    return Path(f"{state_file}.specification") if state_file else None
