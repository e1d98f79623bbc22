"""The settings that a CSMS reads and changes: 1.6's configuration keys and 2.0.1's variables in one table."""

import re
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

Kind = Literal[
    "boolean", "integer", "decimal", "string", "OptionList", "MemberList", "SequenceList", "dateTime"
]
Mutability = Literal["ReadWrite", "ReadOnly", "WriteOnly"]
Status = Literal["Accepted", "RebootRequired", "Rejected"]

MEASURANDS = (
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Frequency",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Import",
    "SoC",
    "Voltage",
)
#: A list may name one phase of these: `Voltage.L1` (OCPP 1.6 part 1, 9.1.17).
PHASED = frozenset({"Current.Import", "Power.Active.Import", "Power.Reactive.Import", "Voltage"})
PHASES = frozenset({"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"})
TX_POINTS = ("Authorized", "EVConnected", "PowerPathClosed")


class Option(NamedTuple):
    name: str  #: in this program
    key: str | None  #: OCPP 1.6
    component: str | None  #: OCPP 2.0.1
    variable: str | None
    kind: Kind
    default: str
    mutability: Mutability = "ReadWrite"
    instance: str | None = None
    unit: str | None = None
    minimum: int | None = None
    maximum: int | None = None  #: of a number, or of a text's length
    members: tuple[str, ...] = ()
    pattern: str | None = None  #: of each member of a list in a text
    counts_at_boot: bool = False


def _rw(name: str, key: str | None, path: str | None, kind: Kind, default: str, **more: object) -> Option:
    """`path` is Component.Variable or Component.Variable/Instance of OCPP 2.0.1; None: not in this version."""
    component, _, variable = (path or "").partition(".")
    variable, _, instance = variable.partition("/")
    return Option(
        name,
        key,
        component or None,
        variable or None,
        kind,
        default,
        instance=instance or None,
        **more,  # type: ignore[arg-type]
    )


def _ro(name: str, key: str | None, path: str | None, kind: Kind, default: str, **more: object) -> Option:
    return _rw(name, key, path, kind, default, mutability="ReadOnly", **more)


def _seconds(name: str, key: str | None, path: str | None, default: int, minimum: int = 0) -> Option:
    return _rw(name, key, path, "integer", str(default), unit="s", minimum=minimum, maximum=31_536_000)


def _measurands(name: str, key: str | None, path: str | None, default: str) -> Option:
    return _rw(name, key, path, "MemberList", default, members=MEASURANDS)


def _constant(name: str, key: str | None, path: str | None, number: int) -> Option:
    return _ro(name, key, path, "integer", str(number))


ENERGY_AND_POWER = "Energy.Active.Import.Register,Power.Active.Import"
PROFILES_16 = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"

#: A list may name each measurand once, and each phase of those that have phases.
ALL_MEASURANDS = len(MEASURANDS) + len(PHASED) * len(PHASES)

#: OCPP 1.6 part 1, 9.1.7: `1.RST` for a connector, or one value for the whole charger.
PHASE_ROTATION = r"(\d{1,3}\.)?(NotApplicable|Unknown|RST|RTS|SRT|STR|TRS|TSR)"

#: The numbers of the network profiles (OCPP 2.0.1, B09).
NETWORK_SLOTS = ("1", "2", "3")

#: Of a request's JSON.
MESSAGE_BYTES = 128 * 1024

OPTIONS = (
    # Authorization
    _rw("authorization_enabled", None, "AuthCtrlr.Enabled", "boolean", "true"),
    _rw("authorize_remote_start", "AuthorizeRemoteTxRequests", "AuthCtrlr.AuthorizeRemoteStart", "boolean", "false"),
    _rw("local_authorize_offline", "LocalAuthorizeOffline", "AuthCtrlr.LocalAuthorizeOffline", "boolean", "true"),
    _rw("local_pre_authorize", "LocalPreAuthorize", "AuthCtrlr.LocalPreAuthorize", "boolean", "false"),
    _rw("accept_unknown_offline", "AllowOfflineTxForUnknownId", "AuthCtrlr.OfflineTxForUnknownIdEnabled", "boolean", "false"),
    _rw("cache_enabled", "AuthorizationCacheEnabled", "AuthCacheCtrlr.Enabled", "boolean", "true"),
    _seconds("cache_lifetime_s", None, "AuthCacheCtrlr.LifeTime", 0),
    _rw("cache_refusal_counts", None, "AuthCacheCtrlr.DisablePostAuthorize", "boolean", "false"),
    _rw("local_list_enabled", "LocalAuthListEnabled", "LocalAuthListCtrlr.Enabled", "boolean", "true"),
    _rw("list_refusal_counts", None, "LocalAuthListCtrlr.DisablePostAuthorize", "boolean", "false"),
    _ro("local_list_max", "LocalAuthListMaxLength", None, "integer", "1000"),
    _ro("local_list_per_message", "SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage", "integer", "1000"),
    _constant("local_list_bytes", None, "LocalAuthListCtrlr.BytesPerMessage", 512 * 1024),
    # Transactions
    _seconds("connect_timeout_s", "ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut", 60),
    _rw("stop_on_invalid_id", "StopTransactionOnInvalidId", "TxCtrlr.StopTxOnInvalidId", "boolean", "true"),
    _rw("invalid_id_wh", "MaxEnergyOnInvalidId", "TxCtrlr.MaxEnergyOnInvalidId", "integer", "0", unit="Wh", minimum=0, maximum=1_000_000),
    _rw("stop_on_unplug", "StopTransactionOnEVSideDisconnect", "TxCtrlr.StopTxOnEVSideDisconnect", "boolean", "true"),
    _rw("unlock_on_unplug", "UnlockConnectorOnEVSideDisconnect", "OCPPCommCtrlr.UnlockOnEVSideDisconnect", "boolean", "true"),
    _rw("tx_start_point", None, "TxCtrlr.TxStartPoint", "MemberList", "PowerPathClosed", members=TX_POINTS, minimum=1),
    _rw("tx_stop_point", None, "TxCtrlr.TxStopPoint", "MemberList", "Authorized,EVConnected", members=TX_POINTS, minimum=1),
    _rw("transaction_attempts", "TransactionMessageAttempts", "OCPPCommCtrlr.MessageAttempts/TransactionEvent", "integer", "3", minimum=1, maximum=100),
    _seconds("transaction_retry_s", "TransactionMessageRetryInterval", "OCPPCommCtrlr.MessageAttemptInterval/TransactionEvent", 10),
    # Meter values
    _seconds("sample_s", "MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval", 60),
    _measurands("sampled", "MeterValuesSampledData", "SampledDataCtrlr.TxUpdatedMeasurands", ENERGY_AND_POWER),
    _measurands("started", None, "SampledDataCtrlr.TxStartedMeasurands", "Energy.Active.Import.Register"),
    _measurands("ended", "StopTxnSampledData", "SampledDataCtrlr.TxEndedMeasurands", "Energy.Active.Import.Register"),
    _seconds("ended_s", None, "SampledDataCtrlr.TxEndedInterval", 0),
    _ro("register_is_whole", None, "SampledDataCtrlr.RegisterValuesWithoutPhases", "boolean", "true"),
    _seconds("aligned_s", "ClockAlignedDataInterval", "AlignedDataCtrlr.Interval", 0),
    _measurands("aligned", "MeterValuesAlignedData", "AlignedDataCtrlr.Measurands", "Energy.Active.Import.Register"),
    _rw("aligned_idle_only", None, "AlignedDataCtrlr.SendDuringIdle", "boolean", "false"),
    _measurands("aligned_ended", "StopTxnAlignedData", "AlignedDataCtrlr.TxEndedMeasurands", ""),
    _seconds("aligned_ended_s", None, "AlignedDataCtrlr.TxEndedInterval", 0),
    _constant("ended_max_values", "StopTransactionMaxMeterValues", None, 50),
    _constant("aligned_max", "MeterValuesAlignedDataMaxLength", None, ALL_MEASURANDS),
    _constant("sampled_max", "MeterValuesSampledDataMaxLength", None, ALL_MEASURANDS),
    _constant("aligned_ended_max", "StopTxnAlignedDataMaxLength", None, ALL_MEASURANDS),
    _constant("ended_max", "StopTxnSampledDataMaxLength", None, ALL_MEASURANDS),
    # The connection
    _seconds("heartbeat_s", "HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval", 300),
    _seconds("ping_s", "WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval", 60),
    _seconds("offline_threshold_s", None, "OCPPCommCtrlr.OfflineThreshold", 60),
    _rw("retry_wait_s", None, "OCPPCommCtrlr.RetryBackOffWaitMinimum", "integer", "1", unit="s", minimum=1, maximum=3600),
    _rw("retry_random_s", None, "OCPPCommCtrlr.RetryBackOffRandomRange", "integer", "30", unit="s", minimum=0, maximum=3600),
    _rw("retry_doublings", None, "OCPPCommCtrlr.RetryBackOffRepeatTimes", "integer", "5", minimum=0, maximum=10),
    _rw("network_priority", None, "OCPPCommCtrlr.NetworkConfigurationPriority", "SequenceList", "1",
        members=NETWORK_SLOTS, minimum=1, counts_at_boot=True),
    _rw("network_attempts", None, "OCPPCommCtrlr.NetworkProfileConnectionAttempts", "integer", "3", minimum=1, maximum=100),
    _ro("file_protocols", "SupportedFileTransferProtocols", "OCPPCommCtrlr.FileTransferProtocols", "MemberList", "FTP,FTPS,HTTP,HTTPS,SFTP",
        members=("FTP", "FTPS", "HTTP", "HTTPS", "SFTP")),
    _ro("time_source", None, "ClockCtrlr.TimeSource", "SequenceList", "Heartbeat", members=("Heartbeat",)),
    _ro("security_profile", "SecurityProfile", "SecurityCtrlr.SecurityProfile", "integer", "0"),
    # The security whitepaper of 1.6, A01: 16 to 20 bytes in hexadecimal. 2.0.1, A01: a passwordString of 16 to 40 characters.
    _rw("authorization_key", "AuthorizationKey", None, "string", "", mutability="WriteOnly", maximum=40, pattern="([0-9A-Fa-f]{2}){16,20}"),
    _rw("password", None, "SecurityCtrlr.BasicAuthPassword", "string", "", mutability="WriteOnly", minimum=16, maximum=40, pattern=r"[^\s\x00-\x1f\x7f\ud800-\udfff]*"),
    _rw("organization", None, "SecurityCtrlr.OrganizationName", "string", "Chargehand", minimum=1, maximum=64),
    _ro("supported_profiles", "SupportedFeatureProfiles", None, "string", PROFILES_16),
    _constant("supported_profiles_max", "SupportedFeatureProfilesMaxLength", None, len(PROFILES_16.split(","))),
    _constant("max_keys", "GetConfigurationMaxKeys", None, 100),
    _ro("connectors", "NumberOfConnectors", None, "integer", "1"),
    _constant("phase_rotation_max", "ConnectorPhaseRotationMaxLength", None, 2),
    _rw("phase_rotation", "ConnectorPhaseRotation", None, "string", "NotApplicable", maximum=500, pattern=PHASE_ROTATION),
    _rw("reset_retries", "ResetRetries", "OCPPCommCtrlr.ResetRetries", "integer", "0", minimum=0, maximum=10),
    # Smart charging and reservation
    _ro("max_stack_level", "ChargeProfileMaxStackLevel", "SmartChargingCtrlr.ProfileStackLevel", "integer", "20"),
    _ro("rate_units_16", "ChargingScheduleAllowedChargingRateUnit", None, "string", "Current,Power"),
    _ro("rate_units_201", None, "SmartChargingCtrlr.RateUnit", "MemberList", "A,W", members=("A", "W")),
    _ro("max_periods", "ChargingScheduleMaxPeriods", "SmartChargingCtrlr.PeriodsPerSchedule", "integer", "100"),
    _constant("max_profiles", "MaxChargingProfilesInstalled", None, 50),
    _rw("rate_change_percent", None, "SmartChargingCtrlr.LimitChangeSignificance", "decimal", "0", unit="Percent", minimum=0, maximum=100),
    _rw("reservations_enabled", None, "ReservationCtrlr.Enabled", "boolean", "true"),
    _ro("reserve_any", "ReserveConnectorZeroSupported", "ReservationCtrlr.NonEvseSpecific", "boolean", "true"),
    # The device model itself
    _constant("report_items", None, "DeviceDataCtrlr.ItemsPerMessage/GetReport", 40),
    _constant("report_bytes", None, "DeviceDataCtrlr.BytesPerMessage/GetReport", MESSAGE_BYTES),
    _constant("get_variables_items", None, "DeviceDataCtrlr.ItemsPerMessage/GetVariables", 100),
    _constant("get_variables_bytes", None, "DeviceDataCtrlr.BytesPerMessage/GetVariables", MESSAGE_BYTES),
    _constant("set_variables_items", None, "DeviceDataCtrlr.ItemsPerMessage/SetVariables", 100),
    _constant("set_variables_bytes", None, "DeviceDataCtrlr.BytesPerMessage/SetVariables", MESSAGE_BYTES),
)  # fmt: skip


def name_of(option: Option) -> str | None:
    """OCPP 2.0.1's `Component.Variable`, with `/instance`; None: 2.0.1 does not have it."""
    instance = f"/{option.instance}" if option.instance else ""
    return f"{option.component}.{option.variable}{instance}" if option.component else None


OPTION_OF_NAME = {option.name: option for option in OPTIONS}

#: By 1.6's key in lower case: keys are not case-sensitive (its type is CiString50).
OPTION_OF_KEY = {option.key.lower(): option for option in OPTIONS if option.key}
#: By 2.0.1's Component.Variable/Instance in lower case.
OPTION_OF_PATH = {path.lower(): option for option in OPTIONS if (path := name_of(option))}


def find_option(name: str) -> Option | None:
    """The option of that name in one of the versions, in any letter case."""
    return OPTION_OF_KEY.get(name.lower()) or OPTION_OF_PATH.get(name.lower())


class Options:
    """The values in force; `changes` has those that the CSMS set, for the state file."""

    def __init__(
        self,
        facts: Mapping[str, str],
        configuration: Mapping[str, str],
        fixed: Collection[str] = (),
    ) -> None:
        """`facts` are values by option name, `configuration` by 1.6 key or 2.0.1 Component.Variable.

        An option in `fixed` cannot be changed at this charger.
        Raises ValueError for a setting that is unknown or that a CSMS could not make.
        """
        self._base = dict(facts)
        self._fixed = frozenset(fixed)
        self.changes: dict[str, str] = {}
        for name, text in configuration.items():
            option = find_option(name)
            if option is None:  # without its value: it may be a password under a wrong name
                raise ValueError(f"{name} is not a setting of this charger")
            if self.change(option, text) == "Rejected":
                shown = "***" if option.mutability == "WriteOnly" else text
                raise ValueError(f"{name}={shown} is not a setting of this charger")
        self._base |= self.changes
        self.changes = {}

    def renew(self, facts: Mapping[str, str], configuration: Mapping[str, str]) -> set[str]:
        """Takes other settings, and for each that differs takes back what was set. Returns the names of these.

        Raises ValueError as the constructor does; then nothing is changed.
        """
        new = Options(facts, configuration, self._fixed)._base
        differ = {name for name in new.keys() | self._base.keys() if new.get(name) != self._base.get(name)}
        self._base = new
        self.reset(*differ)
        return differ

    def restore(self, changes: Mapping[str, str]) -> None:
        """Takes the values of a state file, without those that are no values of an option."""
        self.changes = {
            name: text
            for name, text in changes.items()
            if name in OPTION_OF_NAME and _normalised(OPTION_OF_NAME[name], text) is not None
        }

    def set(self, name: str, value: object) -> None:
        """Sets a value unchecked, also of a read-only option."""
        self.changes[name] = str(value)

    def text(self, name: str) -> str:
        if name in self.changes:
            return self.changes[name]
        return self._base[name] if name in self._base else OPTION_OF_NAME[name].default

    def number(self, name: str) -> int:
        return int(self.text(name))

    def decimal(self, name: str) -> float:
        return float(self.text(name))

    def flag(self, name: str) -> bool:
        return self.text(name) == "true"

    def members(self, name: str) -> list[str]:
        return [member for member in self.text(name).split(",") if member]

    def mutability(self, option: Option) -> Mutability:
        return "ReadOnly" if option.name in self._fixed else option.mutability

    def change(self, option: Option, text: str) -> Status:
        value = _normalised(option, text)
        if self.mutability(option) == "ReadOnly" or value is None:
            return "Rejected"
        self.changes[option.name] = value
        return "RebootRequired" if option.counts_at_boot else "Accepted"

    def reset(self, *names: str) -> None:
        """Takes back what was set."""
        for name in names:
            self.changes.pop(name, None)


def _normalised(option: Option, text: str) -> str | None:
    """The text as it is stored; None when the option does not accept it."""
    if option.mutability == "WriteOnly" and text != text.strip():
        return None  # a password is taken as it is, or not at all
    text = text.strip()
    match option.kind:
        case "boolean":
            return text.lower() if text.lower() in ("true", "false") else None
        case "integer" | "decimal":
            return _normalised_number(option, text)
        case "MemberList" | "SequenceList":
            return _normalised_list(option, text)
        case _:
            return text if _fits(option, text) else None


def _normalised_number(option: Option, text: str) -> str | None:
    whole = option.kind == "integer"
    if not re.fullmatch(r"[0-9]{1,9}" if whole else r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return None
    within = (option.minimum or 0) <= float(text) <= (option.maximum or 2**31)
    return (str(int(text)) if whole else text) if within else None


def _normalised_list(option: Option, text: str) -> str | None:
    """A list names each member once, and at least `minimum` of them."""
    members = [member.strip() for member in text.split(",") if member.strip()]
    named = {split_phase(member)[0] for member in members}
    is_set = len(set(members)) == len(members) and named <= set(option.members)
    return ",".join(members) if is_set and len(members) >= (option.minimum or 0) else None


def _fits(option: Option, text: str) -> bool:
    if not (option.minimum or 0) <= len(text) <= (option.maximum or len(text)):
        return False
    return option.pattern is None or all(
        re.fullmatch(option.pattern, member.strip()) for member in text.split(",")
    )


def split_phase(member: str) -> tuple[str, str | None]:
    """A measurand, and the phase that is named with it."""
    measurand, _, phase = member.rpartition(".")
    return (measurand, phase) if measurand in PHASED and phase in PHASES else (member, None)
