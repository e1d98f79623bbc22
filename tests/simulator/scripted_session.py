"""Stands in for a session in tests in virtual time: what `answer` returns is the CSMS's answer."""

import asyncio
from collections.abc import Awaitable, Callable

from simulator.link.frames import Payload
from tests.support.csms import NOW

#: What a CSMS answers to a call whose answer has contents, in either version.
ANSWERS: dict[str, Payload] = {
    "Authorize": {"idTagInfo": {"status": "Accepted"}, "idTokenInfo": {"status": "Accepted"}},
    "BootNotification": {"currentTime": NOW, "interval": 300, "status": "Accepted"},
    "Heartbeat": {"currentTime": NOW},
    "StartTransaction": {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}},
}


class ScriptedSession:
    def __init__(self, answer: Callable[[str, Payload], Awaitable[Payload]]) -> None:
        self._answer = answer
        self._one_call_at_a_time = asyncio.Lock()

    async def call(self, action: str, payload: Payload) -> Payload:
        async with self._one_call_at_a_time:
            return await self._answer(action, payload)

    async def settle(self) -> None:
        await self._one_call_at_a_time.acquire()

    async def ping(self) -> None:
        """The CSMS answers each ping."""
