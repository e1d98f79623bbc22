"""The charge point, as its actions use it."""

from typing import Any, ClassVar, Protocol

from simulator.configuration import Option, Options, Status
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message, Outbox
from simulator.log import EventLog
from simulator.misbehaviour.misbehaviour import Misbehaviour
from simulator.settings import Settings
from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.model import Connector, Token, Transaction
from simulator.station.station import Station
from simulator.versions import Version


class Scenarios(Protocol):
    def start(self, given: object) -> None:
        """Raises ValueError for what is no scenario."""

    def stop(self) -> bool: ...

    def describe(self) -> dict[str, Any]: ...


class Queue(Protocol):
    outbox: Outbox

    def queue(self, message: Message) -> None: ...


class Boots(Protocol):
    def take_boot(self, answer: Answer) -> None: ...


class KnownStatuses(Protocol):
    def expect_another(self, connector_number: int) -> None: ...


class Charger(Protocol):
    counts_evses: ClassVar[bool]
    info_field: ClassVar[str]
    reset_kinds: ClassVar[tuple[str, ...]]
    token_length: ClassVar[int]
    version: Version
    settings: Settings
    log: EventLog
    options: Options
    authorizer: Authorizer
    station: Station
    misbehaviour: Misbehaviour

    @property
    def scenarios(self) -> Scenarios: ...

    @property
    def delivery(self) -> Queue: ...

    @property
    def registration(self) -> Boots: ...

    @property
    def statuses(self) -> KnownStatuses: ...

    @property
    def online(self) -> bool: ...

    @property
    def reachable(self) -> bool: ...

    def answer(self, action: str, payload: Payload) -> Payload: ...

    def authorize_payload(self, token: Token) -> Payload: ...

    def learn_token(self, token: Token, info: Payload) -> TokenInfo: ...

    def change_option(self, option: Option, text: str) -> Status: ...

    def keep_state(self) -> None: ...

    def remote_start(self, connector: Connector, token: Token, profile: Payload) -> tuple[str, Payload]: ...

    def reset(self, kind: str, connector: Connector | None, reason: str) -> str: ...

    def status_of(self, connector_number: int) -> str: ...

    def take_profile_of_start(self, request: Payload, connector: Connector) -> str | None: ...

    def transaction_id_of(self, transaction: Transaction) -> str: ...

    def trigger_payload(self, message: str, number: int | None) -> Payload: ...

    def unlock(self, connector: Connector) -> str: ...
