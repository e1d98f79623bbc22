"""Stands in for a session in tests in virtual time: what `answer` returns is the CSMS's answer."""

import asyncio
from collections.abc import Awaitable, Callable

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.reboots import Rebooting
from simulator.link.frames import Payload
from tests.support.csms import NOW

#: What a CSMS answers to a call whose answer has contents, in either version.
ANSWERS: dict[str, Payload] = {
    "Authorize": {"idTagInfo": {"status": "Accepted"}, "idTokenInfo": {"status": "Accepted"}},
    "BootNotification": {"currentTime": NOW, "interval": 300, "status": "Accepted"},
    "Heartbeat": {"currentTime": NOW},
    "StartTransaction": {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}},
}


Answer = Callable[[str, Payload], Awaitable[Payload]]


class ScriptedSession:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._one_call_at_a_time = asyncio.Lock()

    async def call(self, action: str, payload: Payload) -> Payload:
        async with self._one_call_at_a_time:
            return await self._answer(action, payload)

    async def settle(self) -> None:
        await self._one_call_at_a_time.acquire()

    async def ping(self) -> None:
        """The CSMS answers each ping."""


class ScriptedLink:
    """The link of a charger to such a CSMS. A charger that wants to reboot does so, and comes back."""

    def __init__(self, answer: Answer, *, reboot_s: float = 0.0) -> None:
        self._answer = answer
        self._reboot_s = reboot_s
        self._talk: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        return self._talk is not None and not self._talk.done()

    def connect(self, model: ChargePoint) -> None:
        """Does nothing while the link is up."""
        if not self.is_up:
            self._talk = asyncio.create_task(self._run(model))

    async def disconnect(self) -> None:
        if self._talk is not None and not self._talk.done():
            self._talk.cancel()
            await asyncio.gather(self._talk, return_exceptions=True)

    async def _run(self, model: ChargePoint) -> None:
        while True:
            try:
                await model.talk(ScriptedSession(self._answer))  # type: ignore[arg-type]
            except Rebooting:
                model.power_off()
                await asyncio.sleep(self._reboot_s)
                model.power_on()
