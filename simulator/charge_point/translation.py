"""What each OCPP version expresses in its own messages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message
from simulator.station.authorization import TokenInfo
from simulator.station.model import Connector, Ending, Reading, Reservation, Token, Transaction

HandlerT = TypeVar("HandlerT", bound=Callable[..., Payload])


def handles(action: str, *, when_busy: Payload | None = None) -> Callable[[HandlerT], HandlerT]:
    """Marks the method that answers this action of the CSMS.

    `when_busy` answers a request for more messages while many requested ones wait.
    """

    def mark(method: HandlerT) -> HandlerT:
        method.action = action  # type: ignore[attr-defined]
        method.when_busy = when_busy  # type: ignore[attr-defined]
        return method

    return mark


class Translation(ABC):
    """A version implements these, and answers requests with methods that `handles` marks."""

    handlers: ClassVar[dict[str, Callable[..., Payload]]]
    #: options whose default differs in this version
    option_defaults: ClassVar[Mapping[str, str]] = {}
    token_length: ClassVar[int] = 36  #: of an idToken, at most
    info_field: ClassVar[str]  #: the field of an answer that says what the CSMS knows of a token
    reset_kinds: ClassVar[tuple[str, ...]]  #: the types of a Reset
    counts_evses: ClassVar[bool] = False  #: each connector is an EVSE with connector 1
    #: whether a rejected charger answers nothing at all
    silent_while_rejected: ClassVar[bool] = False
    #: the options that may have the password; the first is the one of this version
    password_options: ClassVar[tuple[str, ...]] = ("password", "authorization_key")

    def __init_subclass__(cls) -> None:
        cls.handlers = {
            member.action: member
            for base in reversed(cls.__mro__)
            for member in vars(base).values()
            if hasattr(member, "action")
        }

    @abstractmethod
    def boot_payload(self) -> Payload: ...

    def triggered_boot(self) -> Payload:
        """The fields that differ in a BootNotification that the CSMS triggered."""
        return {}

    def ends_rejection(self, action: str, payload: Payload) -> bool:
        """Whether a rejected charger takes this request of the CSMS."""
        return False

    @abstractmethod
    def unlock(self, connector: Connector) -> str:
        """The status that UnlockConnector answers."""

    @abstractmethod
    def reset(self, kind: str, connector: Connector | None, reason: str) -> str:
        """Resets the charger or one EVSE; the status that Reset answers. `reason` is that of the next boot."""

    @abstractmethod
    def trigger_payload(self, message: str, number: int | None) -> Payload:
        """The payload of a TriggerMessage for this connector; None: for the whole charger."""

    @abstractmethod
    def remote_start(self, connector: Connector, token: Token, profile: Payload) -> tuple[str, Payload]:
        """The CSMS's message, and its payload, that would start a transaction with this charging profile."""

    @abstractmethod
    def take_profile_of_start(self, request: Payload, connector: Connector) -> str | None:
        """Installs the profile of such a message for the next transaction; why it is refused, or None."""

    @abstractmethod
    def reporting_numbers(self) -> range:
        """The connectors that send a StatusNotification."""

    @abstractmethod
    def status_of(self, connector_number: int) -> str:
        """The status for a StatusNotification."""

    @abstractmethod
    def status_payload(self, connector_number: int, status: str) -> Payload: ...

    def transaction_id_of(self, transaction: Transaction) -> str:
        """As the CSMS knows it."""
        return transaction.id

    @abstractmethod
    def report_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    @abstractmethod
    def report_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    @abstractmethod
    def report_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None: ...

    @abstractmethod
    def report_fault(self, connector: Connector, fault: str, *, repaired: bool) -> None: ...

    @abstractmethod
    def report_meter(self, connector: Connector) -> None: ...

    @abstractmethod
    def meter_payload(self, connector: Connector, values: list[Payload]) -> Payload:
        """The payload of a MeterValues."""

    @abstractmethod
    def describe_value(self, reading: Reading) -> Payload:
        """The fields of a SampledValue that have the value and its unit."""

    @abstractmethod
    def report_reservation_ended(self, reservation: Reservation, status: str) -> None: ...

    @abstractmethod
    def report_firmware(self, status: str, request_id: int | None) -> None: ...

    @abstractmethod
    def report_log(self, status: str, request_id: int | None) -> None: ...

    @abstractmethod
    def request_authorization(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None: ...

    @abstractmethod
    def learn_token(self, token: Token, info: Payload) -> TokenInfo: ...

    @abstractmethod
    def authorize_payload(self, token: Token) -> Payload: ...

    @abstractmethod
    def read_token_info(self, info: Payload) -> TokenInfo:
        """Reads the idTagInfo or idTokenInfo of an answer or a local list."""

    @abstractmethod
    def handle_durable_answer(self, message: Message, answer: Answer) -> None:
        """Takes the answer to a durable message, which an earlier process may have queued."""

    def payload_to_send(self, message: Message) -> Payload:
        """The payload as it is known when the message is sent."""
        return message.payload
