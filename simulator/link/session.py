"""OCPP-J over one open WebSocket: sends one call at a time, and answers each call of the CSMS."""

import asyncio
import random
from collections.abc import Callable
from typing import Never

from ocpp.exceptions import NotImplementedError, OCPPError  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection

from simulator.link import frames, schemas
from simulator.link.frames import Payload
from simulator.link.schemas import SchemaViolation
from simulator.log import EventLog
from simulator.versions import Version

#: The action in the log of a frame that cannot be read, or that answers no call.
UNKNOWN_ACTION = "Unknown"

Answerer = Callable[[str, Payload], Payload]


class CallFailed(Exception):
    """A call has no valid result. The code is that of the CSMS's CALLERROR, or one of these."""

    TIMEOUT = "NoAnswer"
    BAD_ANSWER = "BadAnswer"
    UNSENT = "Unsent"
    DROPPED = "Dropped"

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class Session:
    def __init__(
        self,
        socket: ClientConnection,
        version: Version,
        log: EventLog,
        answer: Answerer,
        call_timeout_s: float,
    ) -> None:
        self._socket = socket
        self._version = version
        self._log = log
        self._answer = answer
        self._call_timeout_s = call_timeout_s
        self._one_call_at_a_time = asyncio.Lock()
        self._awaited: tuple[str, str, asyncio.Future[Payload]] | None = None
        self._action_of_late_answer: dict[str, str] = {}

    async def call(self, action: str, payload: Payload) -> Payload:
        """The CSMS's answer. Raises CallFailed, ConnectionClosed, or SchemaViolation for an invalid payload."""
        schemas.check_payload(self._version, action, payload, answer=False)
        async with self._one_call_at_a_time:
            unique_id = f"{random.getrandbits(128):032x}"
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._awaited = (unique_id, action, answer)
            try:
                await self._send(action, frames.call_text(unique_id, action, payload))
                async with asyncio.timeout(self._call_timeout_s):
                    return await answer
            except TimeoutError:
                self._action_of_late_answer = {unique_id: action}
                raise CallFailed(CallFailed.TIMEOUT, f"{action} was not answered") from None
            finally:
                self._awaited = None

    async def receive(self) -> Never:
        """Reads and answers frames until the connection ends. Raises ConnectionClosed."""
        while True:
            text = await self._socket.recv()
            try:
                frame = frames.parse_frame(text)
            except frames.BadFrame as bad:
                self._log.frame("csms_to_cp", UNKNOWN_ACTION, _readable(text))
                self._log.remark("warning", f"the CSMS sent a bad frame: {bad}")
                if bad.unique_id is not None:
                    await self._send_error(UNKNOWN_ACTION, bad.unique_id, bad.code, bad.description)
                continue
            match frame:
                case frames.Call():
                    self._log.frame("csms_to_cp", frame.action, _readable(text))
                    await self._answer_call(frame)
                case _:
                    self._take_answer(frame, _readable(text))

    async def _answer_call(self, call: frames.Call) -> None:
        try:
            self._refuse_unknown(call.action)
            schemas.check_payload(self._version, call.action, call.payload, answer=False)
            answer = self._answer(call.action, call.payload)
            schemas.check_payload(self._version, call.action, answer, answer=True)
        except SchemaViolation as violation:
            code = CODE_OF_KEYWORD.get(violation.keyword, "FormatViolation")
            await self._send_error(call.action, call.unique_id, code, str(violation))
        except OCPPError as refusal:
            await self._send_error(call.action, call.unique_id, refusal.code, str(refusal.description))
        else:
            await self._send(call.action, frames.result_text(call.unique_id, answer))

    def _refuse_unknown(self, action: str) -> None:
        """NotImplemented is for unknown actions, as in OCPP; the library's descriptions swap it with NotSupported."""
        if not schemas.is_known_action(self._version, action):
            raise NotImplementedError("this action is not part of the protocol")

    def _take_answer(self, frame: frames.CallResult | frames.CallError, text: str) -> None:
        if self._awaited is None or self._awaited[0] != frame.unique_id:
            action = self._action_of_late_answer.pop(frame.unique_id, UNKNOWN_ACTION)
            self._log.frame("csms_to_cp", action, text)
            self._log.remark(
                "warning", f"the CSMS answered a call that does not wait: {frame.unique_id[:36]}"
            )
            return
        _, action, future = self._awaited
        self._log.frame("csms_to_cp", action, text)
        if future.done():
            return
        if isinstance(frame, frames.CallError):
            future.set_exception(CallFailed(frame.code, frame.description))
            return
        try:
            schemas.check_payload(self._version, action, frame.payload, answer=True)
        except SchemaViolation as violation:
            self._log.remark("warning", f"the CSMS's answer to {action} is not valid: {violation}")
            future.set_exception(CallFailed(CallFailed.BAD_ANSWER, str(violation)))
        else:
            future.set_result(frame.payload)

    async def _send_error(self, action: str, unique_id: str, code: str, description: str) -> None:
        code = self._version.error_codes.get(code, code)
        await self._send(action, frames.error_text(unique_id, code, description))

    async def _send(self, action: str, text: str) -> None:
        self._log.frame("cp_to_csms", action, text)
        await self._socket.send(text)


# OCPP 2.0.1 part 4, table 6; any other keyword is a FormatViolation.
CODE_OF_KEYWORD = {
    "type": "TypeConstraintViolation",
    "maxLength": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "enum": "PropertyConstraintViolation",
    "minimum": "PropertyConstraintViolation",
    "maximum": "PropertyConstraintViolation",
    "multipleOf": "PropertyConstraintViolation",
}


def _readable(text: str | bytes) -> str:
    return text if isinstance(text, str) else f"binary, {len(text)} bytes"
