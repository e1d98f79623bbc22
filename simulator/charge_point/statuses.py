"""The connectors' statuses, and which of them the CSMS knows."""

from dataclasses import dataclass
from typing import Protocol

from simulator.link.frames import Payload
from simulator.link.outbox import Answer, OnAnswer
from simulator.link.session import CallFailed


class Reporter(Protocol):
    """The charge point, as its statuses use it."""

    @property
    def reachable(self) -> bool: ...

    def reporting_numbers(self) -> range: ...

    def status_of(self, connector_number: int) -> str: ...

    def status_payload(self, connector_number: int, status: str) -> Payload: ...

    def send(
        self, action: str, payload: Payload, on_answer: OnAnswer = ..., *, requested: bool = ...
    ) -> None: ...


@dataclass(slots=True)
class _Report:
    content: Payload  #: without its time
    answered: bool = False


class Statuses:
    """Sends StatusNotification. The CSMS knows a status once it has answered it, and not before."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._latest: dict[int, _Report] = {}  # by connector: the last that was queued

    def send(self, connector_number: int, *, requested: bool = False) -> None:
        payload = self._payload(connector_number)
        report = self._latest[connector_number] = _Report(_without_time(payload))

        def confirm(answer: Answer) -> None:
            report.answered = not isinstance(answer, CallFailed)

        self._reporter.send("StatusNotification", payload, confirm, requested=requested)

    def report(self, connector_number: int) -> None:
        """Sends the status if it is not the one that was sent last."""
        if self._reporter.reachable and self._is_new(connector_number):
            self.send(connector_number)

    def report_all(self, *, only_changes: bool) -> None:
        """After a connection: all statuses, or those that the CSMS does not know."""
        for number in self._reporter.reporting_numbers():
            latest = self._latest.get(number)
            if not only_changes or latest is None or not latest.answered or self._is_new(number):
                self.send(number)

    def drop_unanswered(self) -> None:
        """After a connection was lost: nobody knows whether the CSMS got what it has not answered."""
        self._latest = {number: report for number, report in self._latest.items() if report.answered}

    def expect_another(self, connector_number: int) -> None:
        """The CSMS knows another status than the last that was sent: the next report sends the true one."""
        self._latest.pop(connector_number, None)

    def clear(self) -> None:
        self._latest.clear()

    def _is_new(self, connector_number: int) -> bool:
        latest = self._latest.get(connector_number)
        return latest is None or latest.content != _without_time(self._payload(connector_number))

    def _payload(self, connector_number: int) -> Payload:
        return self._reporter.status_payload(connector_number, self._reporter.status_of(connector_number))


def _without_time(payload: Payload) -> Payload:
    return {name: value for name, value in payload.items() if name != "timestamp"}
