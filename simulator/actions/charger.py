"""The charge point, as its actions use it."""

from typing import Any, ClassVar, Protocol

from simulator.log import EventLog
from simulator.misbehaviour.misbehaviour import Misbehaviour
from simulator.settings import Settings
from simulator.station.model import Transaction
from simulator.station.station import Station
from simulator.versions import Version


class Scenarios(Protocol):
    def start(self, given: object) -> None:
        """Raises ValueError for what is no scenario."""

    def stop(self) -> bool: ...

    def describe(self) -> dict[str, Any]: ...


class Charger(Protocol):
    counts_evses: ClassVar[bool]
    token_length: ClassVar[int]
    version: Version
    settings: Settings
    log: EventLog
    station: Station
    misbehaviour: Misbehaviour

    @property
    def scenarios(self) -> Scenarios: ...

    def status_of(self, connector_number: int) -> str: ...

    def transaction_id_of(self, transaction: Transaction) -> str: ...
