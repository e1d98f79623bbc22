"""A CSMS in the event loop of a part, which accepts every charger and keeps what they send, with its time."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed


class Call(NamedTuple):
    """A request of a charger."""

    at: float  #: when it came, of the monotonic clock
    action: str
    payload: dict[str, Any]


@dataclass
class Csms:
    """Accepts every charger and answers every call with the least that is valid."""

    heartbeat_s: int
    links: list[ServerConnection] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def actions(self) -> list[str]:
        return [call.action for call in self.calls]

    @property
    def boots(self) -> list[float]:
        """When each BootNotification came."""
        return [call.at for call in self.calls if call.action == "BootNotification"]

    async def serve(self, socket: ServerConnection) -> None:
        self.links.append(socket)
        try:
            async for text in socket:
                frame = json.loads(text)
                if frame[0] == 2:
                    self.calls.append(Call(monotonic(), frame[2], frame[3]))
                    await socket.send(json.dumps([3, frame[1], self._answer(frame[2])]))
        except ConnectionClosed:
            return

    def _answer(self, action: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()  # a clock that differs is a security event each time
        match action:
            case "BootNotification":
                return {"currentTime": now, "interval": self.heartbeat_s, "status": "Accepted"}
            case "Heartbeat":
                return {"currentTime": now}
            case "StartTransaction":
                return {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
            case _:
                return {}

    async def start_transaction(self, version: str) -> None:
        token = "BENCH"
        if version == "OCPP1.6":
            call = [2, "1", "RemoteStartTransaction", {"idTag": token, "connectorId": 1}]
        else:
            request = {"idToken": {"idToken": token, "type": "ISO14443"}, "remoteStartId": 1}
            call = [2, "1", "RequestStartTransaction", request]
        await self.links[-1].send(json.dumps(call))
