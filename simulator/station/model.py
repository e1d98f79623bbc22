"""What a charger physically is: connectors with cables, cars and meters. Knows nothing of OCPP's messages."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Token(NamedTuple):
    """What a driver shows: an idTag in OCPP 1.6, an idToken with its type in 2.0.1."""

    value: str
    kind: str = "ISO14443"

    def is_same(self, other: "Token | None") -> bool:
        return other is not None and self.value.lower() == other.value.lower()


@dataclass(slots=True)
class Ev:
    """The car at a connector."""

    wanted_wh: float  #: asks for nothing more after this much
    battery_wh: float
    max_power_w: float
    drawn_wh: float = 0.0
    asks: bool = True  #: requests energy

    @property
    def soc_percent(self) -> float:
        missing_wh = max(self.wanted_wh - self.drawn_wh, 0.0)
        return max(0.0, min(100.0, 100.0 * (1 - missing_wh / self.battery_wh)))


@dataclass(slots=True)
class Transaction:
    id: str  #: ours; OCPP 2.0.1 calls it by this name
    started_at: float  #: seconds since the epoch, the CSMS's time
    meter_start_wh: float
    token: Token | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    next_seq_no: int = 0  #: OCPP 2.0.1
    told_state: str = "EVConnected"  #: the charging state as the CSMS knows it
    energy_limit_wh: float | None = None  #: what a refused token may still draw


class Ending(NamedTuple):
    """How a transaction ended; trigger and reason in the words of OCPP 2.0.1, or of 1.6 where it has more."""

    trigger: str
    reason: str
    moment: float  #: seconds since the epoch, the CSMS's time
    token: Token | None = None  #: the one that was shown for it


@dataclass(slots=True)
class Reservation:
    id: int
    connector_number: int  #: 0 is any
    token: Token
    group: str | None
    expires_at: float


@dataclass(slots=True)
class Connector:
    number: int  #: from 1; in OCPP 2.0.1 the id of an EVSE with one connector
    ev: Ev | None = None
    token: Token | None = None  #: authorized to charge here
    group: str | None = None  #: the group of that token, whose other tokens may end its transaction
    transaction: Transaction | None = None
    energy_wh: float = 0.0  #: the meter's register, which only grows
    power_w: float = 0.0
    limit_w: float = field(default=float("inf"))  #: what smart charging leaves it
    fault: str | None = None
    operative: bool = True
    operative_next: bool | None = None  #: becomes `operative` when the transaction ends
    used: bool = False  #: a transaction ended and its car is still there
    claimed: bool = False  #: a token is being checked for it
    remote_start_id: int | None = None
    power_set_w: float | None = None  #: a script's word for what the car draws

    @property
    def plugged(self) -> bool:
        return self.ev is not None

    @property
    def charging_state(self) -> str:
        """In the words of OCPP 2.0.1."""
        if self.ev is None:
            return "Idle"
        if self.power_w > 0:
            return "Charging"
        if self.token is None or self.transaction is None:
            return "EVConnected"
        if not self.ev.asks or self.power_set_w == 0:
            return "SuspendedEV"
        return "SuspendedEVSE" if self.limit_w <= 0 else "EVConnected"

    @property
    def is_free(self) -> bool:
        """Whether a token may start here; a reservation is another matter.

        A transaction that began with the cable still waits for its token.
        """
        nobody = self.transaction is None or self.transaction.token is None
        return nobody and self.token is None and not self.claimed and self.is_usable

    @property
    def is_usable(self) -> bool:
        return self.operative and self.fault is None


@dataclass(frozen=True, slots=True)
class Electrics:
    """How watts and amperes relate at this charger's connectors."""

    voltage_v: float
    phases: int
    is_dc: bool

    def watts(self, amperes: float, phases: int | None = None) -> float:
        return amperes * self.voltage_v * min(phases or self.phases, self.phases)

    def amperes(self, watts: float) -> float:
        """Per phase."""
        return watts / (self.voltage_v * self.phases)


def electrics_of(connector_type: str, max_power_w: float) -> Electrics:
    """DC connectors are taken at 400 V; AC ones at 230 V, and beyond 7.4 kW with three phases."""
    if any(name in connector_type.upper() for name in ("CCS", "CHADEMO", "GBT_DC", "NACS")):
        return Electrics(voltage_v=400.0, phases=1, is_dc=True)
    return Electrics(voltage_v=230.0, phases=3 if max_power_w > 7400 else 1, is_dc=False)
