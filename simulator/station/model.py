"""The data of a charger: connectors with their cars, meters, tokens and transactions. No OCPP messages."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from simulator.station.car.ev import NEGLIGIBLE_WH, Ev


class Token(NamedTuple):
    """Identifies a driver: an idTag in OCPP 1.6, an idToken with its type in 2.0.1."""

    value: str
    kind: str = "ISO14443"

    def is_same(self, other: "Token | None") -> bool:
        return other is not None and self.value.lower() == other.value.lower()


class Reading(NamedTuple):
    measurand: str
    value: float
    unit: str | None = None  #: None: it has none
    phase: str | None = None  #: None: of all phases


class Sample(NamedTuple):
    """Readings of one moment."""

    moment: float  #: seconds since the epoch, the CSMS's time
    context: str  #: in OCPP's words
    readings: list[Reading]


@dataclass(slots=True)
class Transaction:
    id: str  #: made by the charger; the transactionId of OCPP 2.0.1
    started_at: float  #: seconds since the epoch, the CSMS's time
    meter_start_wh: float
    token: Token | None = None
    ready_at: float | None = None  #: when the car was plugged in and authorized; the same clock
    remote_start_id: int | None = None
    reservation_id: int | None = None
    next_seq_no: int = 0  #: OCPP 2.0.1
    reported_state: str = "EVConnected"  #: the charging state that the CSMS knows
    energy_limit_wh: float | None = None  #: what a refused token may draw in all
    energy_target_wh: float | None = None  #: after which its driver ends it
    samples: list[Sample] = field(default_factory=list)  #: for the report of its end
    reported_power_w: float = 0.0  #: the power that the CSMS knows
    deauthorized: bool = False  #: a refused token has drawn it, and the transaction goes on without energy


class Ending(NamedTuple):
    """How a transaction ended. Trigger and reason are OCPP 2.0.1's words, or 1.6's where 2.0.1 has none."""

    trigger: str
    reason: str
    moment: float  #: seconds since the epoch, the CSMS's time
    token: Token | None = None  #: the one that was shown to end it


@dataclass(slots=True)
class Reservation:
    id: int
    connector_number: int  #: 0: any connector
    token: Token
    group: str | None
    expires_at: float


#: What keeps its own state of availability (2.0.1, G03 and G04); `reset`: the charger waits to be reset;
#: `EVSE reset`: this EVSE alone is reset; `firmware`: the charger waits for new firmware.
#: OCPP 1.6 knows two: its connector 0 is the station, any other an EVSE.
Level = Literal["station", "EVSE", "connector", "reset", "EVSE reset", "firmware"]

#: The levels that end with a reboot at the latest.
UNTIL_REBOOT: frozenset[Level] = frozenset({"reset", "EVSE reset", "firmware"})


@dataclass(slots=True)
class Connector:
    number: int  #: from 1; in OCPP 2.0.1 the id of an EVSE with one connector
    ev: Ev | None = None
    token: Token | None = None  #: the one that may charge here
    group: str | None = None  #: of that token; its other tokens may end the transaction
    reservation_id: int | None = None  #: the one that the token has used
    transaction: Transaction | None = None
    energy_wh: float = 0.0  #: the meter's register; it only grows
    interval_start_wh: dict[str, float] = field(
        default_factory=dict
    )  #: by list: the register at its last reading
    power_w: float = 0.0
    limit_w: float = field(default=float("inf"))  #: allowed by the charging profiles
    limit_phases: int = 1  #: on which the limit allows it
    fault: str | None = None  #: an error code of OCPP 1.6
    fault_info: str | None = None  #: its text, if it has one of its own
    inoperative: set[Level] = field(default_factory=set)  #: the levels that are set Inoperative
    operative: bool = True  #: derived from the levels, when no transaction runs
    operative_next: bool | None = None  #: becomes `operative` when the transaction ends
    cable_locked: bool = False  #: the car has left, and its cable is still locked in the socket
    used: bool = False  #: its transaction has ended, and the car is still plugged in
    claimed: bool = False  #: its token is being checked
    closed: bool = False  #: the charger is about to go off: nothing starts here any more
    remote_start_id: int | None = None
    suspended: bool = False  #: the charger delivers nothing to its transaction, as an action set it
    power_set_w: float | None = None  #: drawn by the car as an action set it; None: as much as it can

    @property
    def plugged(self) -> bool:
        return self.ev is not None

    @property
    def phases(self) -> int:
        """Those that carry current when the car charges."""
        return min(self.limit_phases, self.ev.phases) if self.ev else self.limit_phases

    @property
    def charging_state(self) -> str:
        """In the words of OCPP 2.0.1."""
        if self.ev is None:
            return "Idle"
        if self.power_w > 0:
            return "Charging"
        if self.token is None or self.transaction is None:
            return "EVConnected"
        if self.transaction.deauthorized or self.suspended:
            return "SuspendedEVSE"
        if not self.ev.requests_energy or self.power_set_w == 0:
            return "SuspendedEV"
        return "SuspendedEVSE" if self.limit_w <= 0 else "EVConnected"

    @property
    def has_reached_target(self) -> bool:
        transaction = self.transaction
        if transaction is None or transaction.energy_target_wh is None:
            return False
        drawn_wh = self.energy_wh - transaction.meter_start_wh
        return transaction.energy_target_wh - drawn_wh < NEGLIGIBLE_WH

    @property
    def has_cable(self) -> bool:
        """Whether there is a cable in its socket, with a car or without."""
        return self.plugged or self.cable_locked

    @property
    def is_free(self) -> bool:
        """Whether a token may start here, reservations aside.

        A transaction that began with the cable is free for a token until it has one.
        """
        without_token = self.transaction is None or self.transaction.token is None
        return without_token and self.token is None and not self.claimed and self.is_usable

    @property
    def is_out_of_service(self) -> bool:
        """Faulted or Unavailable, and not only until a reset."""
        return self.fault is not None or bool(not self.operative and self.inoperative - UNTIL_REBOOT)

    @property
    def is_usable(self) -> bool:
        return self.operative and self.fault is None and not self.closed


@dataclass(frozen=True, slots=True)
class Electrics:
    """Converts watts and amperes at this charger's connectors."""

    voltage_v: float
    phases: int
    is_dc: bool
    power_factor: float = 1.0  #: of the cars; 1 for DC

    def watts(self, amperes: float, phases: int | None = None) -> float:
        return amperes * self.voltage_v * min(phases or self.phases, self.phases) * self.power_factor

    def amperes(self, watts: float, phases: int | None = None) -> float:
        """Per phase."""
        return watts / (self.voltage_v * min(phases or self.phases, self.phases) * self.power_factor)


def electrics_of(connector_type: str, max_power_w: float, power_factor: float = 1.0) -> Electrics:
    """400 V for DC connectors; 230 V for AC, with three phases above 7.4 kW."""
    if any(name in connector_type.upper() for name in ("CCS", "CHADEMO", "GBT_DC", "NACS")):
        return Electrics(voltage_v=400.0, phases=1, is_dc=True)
    phases = 3 if max_power_w > 7400 else 1
    return Electrics(voltage_v=230.0, phases=phases, is_dc=False, power_factor=power_factor)
