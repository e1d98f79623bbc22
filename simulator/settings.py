"""Reads the settings of the charger from the environment. docs/ocpp.md lists every variable."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from simulator.destinations import MAX_URL_LENGTH, OPEN, BadRule, Destinations, read_destinations
from simulator.versions import VERSIONS

MAX_CONNECTORS = 100

CURVES = ("flat", "taper")


class BadSettings(ValueError):
    """A variable is missing or invalid; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    identity: str
    ws_url: str
    ocpp_version: str = "OCPP1.6"  #: a name of `VERSIONS`
    vendor_name: str = "Chargehand"
    model: str = "Simulator"
    firmware_version: str = "1.0.0"
    serial_number: str | None = None  #: None: the identity
    iccid: str | None = None  #: of its SIM card
    imsi: str | None = None
    connectors: int = 1
    connector_type: str = "Type2"
    connector_types: tuple[str, ...] = ()  #: of connector 1, 2, ...; the others are of `connector_type`
    max_power_w: int = 22_000
    password: str | None = field(default=None, repr=False)
    authorization_key: bytes | None = field(
        default=None, repr=False
    )  #: the password as bytes, as in OCPP 1.6
    password_number: int = (
        0  #: another number: what a CSMS has set since gives way to the password or the key
    )
    security_profile: int | None = None  #: None: what follows from the password and the URL
    ca_file: str | None = None
    ca_certificates: str | None = field(default=None, repr=False)  #: PEM; instead of the file
    destinations: Destinations = OPEN  #: where the operator lets it connect
    state_file: str | None = None
    meter_start_wh: int | None = None  #: the registers of a new charger; None: a value from its identity

    connect_jitter_s: float = 0.2  #: the first connect waits up to this long
    retry_wait_s: float = 1.0  #: doubled after each failure
    retry_random_s: float = 30.0  #: added to each wait, uniformly, so that a fleet spreads out
    retry_max_s: float = 60.0  #: upper limit of a wait, with its random part
    open_timeout_s: float = 10.0  #: from the TCP connection to the end of the WebSocket handshake
    call_timeout_s: float = 30.0
    strict: bool = False  #: refuses every payload of the CSMS that breaks its schema
    boot_on_reconnect: bool = False
    reboot_s: float = 1.0  #: from the end of the connection to the start of the next after a Reset
    job_step_s: float = 2.0  #: each step of a simulated firmware update or log upload
    configuration: Mapping[str, str] = field(default_factory=dict)  #: by 1.6 key or 2.0.1 Component.Variable

    ev_plug_in_s: float | None = 1.0  #: after a remote start, until the car is plugged in; None: never
    ev_unplug_s: float | None = 10.0  #: after charging has stopped, until the car leaves; None: never
    ev_energy_wh: float = 20_000.0
    ev_battery_wh: float = 60_000.0
    ev_soc_percent: int | None = (
        None  #: when a car arrives; None: it is full with the energy that it requests
    )
    ev_max_power_w: float | None = None  #: None: as much as the charger
    ev_curve: str | None = None  #: a name of `CURVES`; None: taper at DC, flat at AC
    ev_phases: int = 3
    ev_power_factor: float = 1.0
    session_every_s: float = 0.0  #: automatic sessions at each connector, on average this long apart; 0: none
    scenario: object = None  #: of JSON: what the charger performs by itself; None: nothing
    session_id_tag: str = "CHARGEHAND"  #: the token of automatic sessions

    http_port: int | None = None  #: of the charger's own HTTP API; None: it has none, 0: any free port
    http_host: str = "127.0.0.1"  #: the IP address where that listens
    http_token: str | None = field(default=None, repr=False)

    def become(self, other: "Settings") -> None:
        """Takes all values of `other`: whoever has these settings uses those from now on."""
        for each in fields(self):
            object.__setattr__(self, each.name, getattr(other, each.name))

    def type_of(self, connector_number: int) -> str:
        within = 0 < connector_number <= len(self.connector_types)
        return self.connector_types[connector_number - 1] if within else self.connector_type

    @property
    def password_bytes(self) -> bytes | None:
        """Of Basic authentication."""
        if self.security_profile == 0:
            return None
        return self.authorization_key or (self.password.encode() if self.password else None)

    @property
    def url(self) -> str:
        """The CSMS's URL with the identity as its last path segment (OCPP-J 3.1.1)."""
        parts = urlsplit(self.ws_url)
        path = f"{parts.path.rstrip('/')}/{quote(self.identity, safe='')}"
        return parts._replace(path=path).geturl()

    @property
    def is_http_local(self) -> bool:
        """Whether only programs of this machine reach the HTTP API."""
        return ip_address(self.http_host).is_loopback


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Raises BadSettings. An empty variable counts as an absent one."""
    read = _Reader(environ)
    settings = Settings(
        identity=_checked_identity(read.required("CHARGER_IDENTITY")),
        ws_url=check_ws_url("CHARGER_WS_URL", read.required("CHARGER_WS_URL")),
        ocpp_version=_known_version(read.text("CHARGER_OCPP_VERSION", "OCPP1.6")),
        vendor_name=read.text("CHARGER_VENDOR_NAME", "Chargehand"),
        model=read.text("CHARGER_MODEL", "Simulator"),
        firmware_version=read.text("CHARGER_FIRMWARE_VERSION", "1.0.0"),
        connectors=read.whole_number("CHARGER_CONNECTORS", 1, minimum=1, maximum=MAX_CONNECTORS),
        serial_number=read.optional("CHARGER_SERIAL_NUMBER"),
        iccid=read.optional("CHARGER_ICCID"),
        imsi=read.optional("CHARGER_IMSI"),
        connector_types=read.words("CHARGER_CONNECTOR_TYPES"),
        connector_type=read.text("CHARGER_CONNECTOR_TYPE", "Type2"),
        max_power_w=read.whole_number("CHARGER_MAX_POWER_W", 22_000, minimum=1, maximum=10_000_000),
        password=read.optional("CHARGER_PASSWORD"),
        authorization_key=read.hexadecimal("CHARGER_AUTHORIZATION_KEY"),
        password_number=read.whole_number("CHARGER_PASSWORD_NUMBER", 0, minimum=0, maximum=1_000_000_000),
        security_profile=read.optional_number("CHARGER_SECURITY_PROFILE", maximum=2),
        ca_certificates=read.optional("CHARGER_CA_CERTIFICATES"),
        ca_file=read.optional("CHARGER_CA_FILE"),
        destinations=_destinations(
            read.text("CHARGER_WS_URL_ALLOW", ""), read.text("CHARGER_WS_URL_DENY", "")
        ),
        state_file=read.optional("CHARGER_STATE_FILE"),
        meter_start_wh=read.optional_number("CHARGER_METER_START_WH", maximum=1_000_000_000),
        connect_jitter_s=read.seconds("CHARGER_CONNECT_JITTER_S", 0.2),
        retry_wait_s=read.seconds("CHARGER_RETRY_WAIT_S", 1.0),
        retry_random_s=read.seconds("CHARGER_RETRY_RANDOM_S", 30.0),
        retry_max_s=read.seconds("CHARGER_RETRY_MAX_S", 60.0),
        open_timeout_s=read.seconds("CHARGER_OPEN_TIMEOUT_S", 10.0, minimum=0.1),
        call_timeout_s=read.seconds("CHARGER_CALL_TIMEOUT_S", 30.0, minimum=0.1),
        strict=read.switch("CHARGER_STRICT", False),
        boot_on_reconnect=read.switch("CHARGER_BOOT_ON_RECONNECT", False),
        reboot_s=read.seconds("CHARGER_REBOOT_S", 1.0),
        job_step_s=read.seconds("CHARGER_JOB_STEP_S", 2.0),
        configuration=read.configuration("CHARGER_CONFIGURATION"),
        ev_plug_in_s=read.seconds_or_never("CHARGER_EV_PLUG_IN_S", 1.0),
        ev_unplug_s=read.seconds_or_never("CHARGER_EV_UNPLUG_S", 10.0),
        ev_energy_wh=read.whole_number("CHARGER_EV_ENERGY_WH", 20_000, minimum=1, maximum=10_000_000),
        ev_battery_wh=read.whole_number("CHARGER_EV_BATTERY_WH", 60_000, minimum=1, maximum=10_000_000),
        ev_soc_percent=read.optional_number("CHARGER_EV_SOC_PERCENT", maximum=100),
        ev_max_power_w=read.whole_number("CHARGER_EV_MAX_POWER_W", 0, minimum=0, maximum=10_000_000) or None,
        ev_curve=read.choice("CHARGER_EV_CURVE", CURVES),
        ev_phases=read.whole_number("CHARGER_EV_PHASES", 3, minimum=1, maximum=3),
        ev_power_factor=read.decimal("CHARGER_EV_POWER_FACTOR", 1.0, minimum=0.5, maximum=1.0),
        session_every_s=read.seconds("CHARGER_VISITOR_EVERY_S", 0.0),
        scenario=read.json("CHARGER_SCENARIO"),
        session_id_tag=read.text("CHARGER_VISITOR_ID_TAG", "CHARGEHAND")[:20],
        http_port=read.optional_number("CHARGER_HTTP_PORT", maximum=65_535),
        http_host=_checked_address("CHARGER_HTTP_HOST", read.text("CHARGER_HTTP_HOST", "127.0.0.1")),
        http_token=_checked_token("CHARGER_HTTP_TOKEN", read.optional("CHARGER_HTTP_TOKEN")),
    )
    if settings.retry_max_s < settings.retry_random_s:
        raise BadSettings("CHARGER_RETRY_MAX_S must not be below CHARGER_RETRY_RANDOM_S")
    if settings.http_port is not None and settings.http_token is None and not settings.is_http_local:
        raise BadSettings(
            "CHARGER_HTTP_TOKEN is required where CHARGER_HTTP_HOST is not a loopback address: "
            "whoever reaches the port could drive the charger"
        )
    return settings


@dataclass(frozen=True, slots=True)
class _Reader:
    environ: Mapping[str, str]

    def optional(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def text(self, name: str, default: str) -> str:
        return self.optional(name) or default

    def required(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise BadSettings(f"{name} is missing")
        return value

    def whole_number(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        value = self.optional(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and minimum <= int(value) <= maximum):
            raise BadSettings(f"{name} must be a whole number from {minimum} to {maximum}, not {value!r}")
        return int(value)

    def optional_number(self, name: str, *, maximum: int) -> int | None:
        """From 0 up; None when the variable is absent."""
        if self.optional(name) is None:
            return None
        return self.whole_number(name, 0, minimum=0, maximum=maximum)

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.text(name, "").split(",") if word.strip())

    def hexadecimal(self, name: str) -> bytes | None:
        """Raises BadSettings, which does not repeat the value: it is a secret."""
        value = self.optional(name)
        try:
            return None if value is None else bytes.fromhex(value)
        except ValueError as error:
            raise BadSettings(f"{name} must be in hexadecimal") from error

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.optional(name)
        if value is not None and value not in choices:
            raise BadSettings(f"{name} must be {' or '.join(choices)}, not {value!r}")
        return value

    def decimal(self, name: str, default: float, *, minimum: float, maximum: float) -> float:
        value = self.optional(name)
        try:
            number = default if value is None else float(value)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise BadSettings(f"{name} must be a number from {minimum:g} to {maximum:g}, not {value!r}")
        return number

    def seconds(self, name: str, default: float, *, minimum: float = 0.0) -> float:
        value = self.optional(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not minimum <= number <= 86_400 * 365:
            raise BadSettings(f"{name} must be a number of seconds from {minimum:g} up, not {value!r}")
        return number

    def seconds_or_never(self, name: str, default: float) -> float | None:
        return None if self.optional(name) == "never" else self.seconds(name, default)

    def configuration(self, name: str) -> dict[str, str]:
        try:
            given = json.loads(self.optional(name) or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise BadSettings(f"{name} must be a JSON object")
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}

    def json(self, name: str) -> object:
        """None when the variable is absent."""
        value = self.optional(name)
        try:
            return None if value is None else json.loads(value)
        except (ValueError, RecursionError):
            raise BadSettings(f"{name} is not JSON") from None

    def switch(self, name: str, default: bool) -> bool:
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise BadSettings(f"{name} must be true or false, not {value!r}")
        return value.lower() == "true"


def _known_version(text: str) -> str:
    if text not in VERSIONS:
        raise BadSettings(f"CHARGER_OCPP_VERSION must be {' or '.join(VERSIONS)}, not {text!r}")
    return text


def _checked_identity(identity: str) -> str:
    # 48 is the length of identifierString in OCPP 2.0.1, which names the station in the URL.
    if len(identity) > 48 or not identity.isprintable() or identity in (".", ".."):
        raise BadSettings("CHARGER_IDENTITY must be 1 to 48 printable characters")
    return identity


def _checked_address(name: str, text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise BadSettings(f"{name} must be an IP address, not {text!r}") from None


#: Characters: nobody guesses a random token of this length.
SHORTEST_TOKEN = 16


def _checked_token(name: str, token: str | None) -> str | None:
    """A token that a header can carry. The message never shows it."""
    if token is not None and (len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[!-~]+", token)):
        raise BadSettings(f"{name} must be at least {SHORTEST_TOKEN} ASCII characters without spaces")
    return token


@lru_cache(maxsize=4)  # the chargers of a process share theirs
def _destinations(allow: str, deny: str) -> Destinations:
    try:
        return read_destinations(allow, deny)
    except BadRule as error:
        raise BadSettings(f"CHARGER_WS_URL_ALLOW or CHARGER_WS_URL_DENY: {error}") from error


def check_ws_url(name: str, ws_url: str) -> str:
    """The URL. Raises BadSettings, which calls it by this name."""
    if len(ws_url) > MAX_URL_LENGTH or not ws_url.isascii() or not ws_url.isprintable() or " " in ws_url:
        raise BadSettings(f"{name} must be at most 2048 ASCII characters without spaces")
    try:
        parts = urlsplit(ws_url)
        port = parts.port
    except ValueError as error:
        raise BadSettings(f"{name} is not a URL: {error}") from error
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise BadSettings(f"{name} must be ws://HOST... or wss://HOST...")
    if "@" in parts.netloc:
        raise BadSettings(f"{name} must not carry credentials: use CHARGER_PASSWORD")
    if parts.fragment or port == 0:
        raise BadSettings(f"{name} must not have a fragment or port 0")
    return ws_url
