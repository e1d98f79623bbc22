"""A CSMS and a charger with two connectors that talk, for tests of the messages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from simulator.actions.outcome import Outcome
from simulator.clock import format_time, parse_time
from tests.simulator.charger import LocalCharger
from tests.support.csms import NOW, Csms, Link, Payload, call16, call201
from tests.support.waiting import wait_until_async


def in_seconds(seconds: float) -> str:
    """This much after `NOW`, the CSMS's time."""
    return format_time(parse_time(NOW) + seconds)


class Talk:
    def __init__(self, csms: Csms, charger: LocalCharger, link: Link) -> None:
        self.csms = csms
        self.charger = charger
        self.link = link
        self.model = charger.model
        self.connector = charger.model.station.connectors[0]
        self.is_16 = charger.model.version.name == "OCPP1.6"

    async def call(self, name: str, **fields: Any) -> Any:
        return await self.link.call(getattr(call16 if self.is_16 else call201, name)(**fields))

    async def perform(self, action: str, data: str = "{}") -> str:
        """Performs an action of the driver or the car by DataTransfer; the answer's status."""
        answer = await self.call("DataTransfer", vendor_id="chargehand", message_id=action, data=data)
        return str(answer.status)

    async def act(self, action: str, /, **event: Any) -> Outcome:
        """Performs an action of the table, and waits for what the CSMS says to it."""
        async with asyncio.timeout(10):
            return await self.model.actions.perform(action, event)

    async def start(self, **fields: Any) -> Payload:
        """Starts a transaction on connector 1; the payload of its StartTransaction or TransactionEvent."""
        if self.is_16:
            answer = await self.call("RemoteStartTransaction", id_tag="TAG", connector_id=1, **fields)
        else:
            answer = await self.call(
                "RequestStartTransaction", id_token=TOKEN, remote_start_id=7, evse_id=1, **fields
            )
        assert answer.status == "Accepted"
        started = await (self.link.next("StartTransaction") if self.is_16 else self.event("Started"))
        await wait_until_async(
            lambda: self.connector.power_w > 0 and not self.model.has_queued_messages(None)
        )
        return started

    async def request_stop(self) -> str:
        """Stops the transaction on connector 1 by RequestStopTransaction (2.0.1); the answer's status."""
        assert self.connector.transaction is not None
        answer = await self.call("RequestStopTransaction", transaction_id=self.connector.transaction.id)
        return str(answer.status)

    async def event(self, kind: str, trigger: str | None = None) -> Payload:
        """The next such TransactionEvent."""
        return await self.link.next(
            "TransactionEvent",
            lambda payload: payload["event_type"] == kind and trigger in (None, payload["trigger_reason"]),
        )

    async def status(self, status: str, connector_id: int = 1) -> Payload:
        """The next such StatusNotification."""
        number, word = ("connector_id", "status") if self.is_16 else ("evse_id", "connector_status")
        return await self.link.next(
            "StatusNotification", lambda payload: (payload[number], payload[word]) == (connector_id, status)
        )


TOKEN = {"id_token": "TAG", "type": "ISO14443"}


@asynccontextmanager
async def open_talk(version: str, **environment: object) -> AsyncIterator[Talk]:
    """Starts a CSMS and a charger with this environment, and waits until it is accepted."""
    settings: dict[str, object] = {"connectors": 2, "ev_plug_in_s": 0, "ev_unplug_s": "never"}
    async with Csms() as csms, LocalCharger(csms.url, version, **settings | environment) as charger:
        link = await csms.link()
        expected = len(charger.model.reporting_numbers())
        await wait_until_async(lambda: len(link.all("StatusNotification")) >= expected)
        link.calls.clear()
        yield Talk(csms, charger, link)


async def start_remotely(link: Link, version: str) -> None:
    if version == "OCPP1.6":
        await link.call(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
        await link.next("StartTransaction")
    else:
        await link.call(call201.RequestStartTransaction(id_token=TOKEN, remote_start_id=7))
        await link.next("TransactionEvent")


def transaction_calls(link: Link) -> list[str]:
    """The charger's calls about transactions, in order: the actions of 1.6, the event types of 2.0.1."""
    calls = []
    for call in link.calls:
        if call.action in ("StartTransaction", "StopTransaction", "MeterValues"):
            calls.append(call.action)
        elif call.action == "TransactionEvent":
            calls.append(call.payload["event_type"])
    return calls
