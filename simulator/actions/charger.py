"""The charge point, as its actions use it."""

from typing import ClassVar, Protocol

from simulator.log import EventLog
from simulator.misbehaviour.misbehaviour import Misbehaviour
from simulator.settings import Settings
from simulator.station.model import Transaction
from simulator.station.station import Station
from simulator.versions import Version


class Charger(Protocol):
    counts_evses: ClassVar[bool]
    token_length: ClassVar[int]
    version: Version
    settings: Settings
    log: EventLog
    station: Station
    misbehaviour: Misbehaviour

    def status_of(self, connector_number: int) -> str: ...

    def transaction_id_of(self, transaction: Transaction) -> str: ...
