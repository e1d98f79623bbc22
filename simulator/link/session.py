"""OCPP-J over one open WebSocket: sends one call at a time, and answers each call of the CSMS."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Never

from ocpp.exceptions import NotImplementedError, OCPPError  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.link import frames, schemas
from simulator.link.frames import Payload
from simulator.link.interference import Interference
from simulator.link.pace import Pace
from simulator.link.schemas import SchemaViolation
from simulator.link.websocket import PING_TIMEOUT_S
from simulator.log import EventLog
from simulator.versions import Version

#: The action in the log of a frame that cannot be read, or that answers no call.
UNKNOWN_ACTION = "Unknown"

#: Of the CSMS's calls. Chargers that share a process share its CPU: without a limit one CSMS could take all of it.
FRAMES_AT_ONCE, FRAMES_PER_S = 50, 50.0

#: A longer frame counts as several: one of 400 KB takes up to 50 ms of CPU to read, check and log.
COUNTED_BYTES = 32 * 1024

#: So does one whose answer takes CPU: no CSMS gets much more than a tenth of a core for its charger.
COUNTED_S = 0.002

Answer = frames.CallResult | frames.CallError | frames.BadAnswer
Answerer = Callable[[str, Payload], Payload]


class Ending(Exception):
    """Ends the session from the charger's side, as planned."""


#: How a session ends when nothing is wrong with the charger.
ENDS = (ConnectionClosed, Ending)


class CallFailed(Exception):
    """A call has no valid result. The code is that of the CSMS's CALLERROR, or one of these."""

    TIMEOUT = "NoAnswer"
    BAD_ANSWER = "BadAnswer"
    UNSENT = "Unsent"
    DROPPED = "Dropped"
    OWN = frozenset({TIMEOUT, BAD_ANSWER, UNSENT, DROPPED})

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class Session:
    def __init__(
        self,
        socket: ClientConnection,
        version: Version,
        log: EventLog,
        answer: Answerer,
        call_timeout_s: float,
        *,
        interference: Interference,
        strict: bool = False,
        is_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        """While `is_silent`, no frame of the CSMS is answered.

        `strict` refuses every payload that breaks its schema; else what nobody needs is left out, with a remark."""
        self._socket = socket
        self._version = version
        self._log = log
        self._answer = answer
        self._call_timeout_s = call_timeout_s
        self._interference = interference
        self._strict = strict
        self._is_silent = is_silent
        self.heard = 0  #: frames of the CSMS
        self._tolerated: set[str] = set()
        self._one_call_at_a_time = asyncio.Lock()
        self._one_answer_at_a_time = asyncio.Lock()
        self._pace = Pace(FRAMES_AT_ONCE, FRAMES_PER_S)
        self._answering_s = 0.0  #: of CPU, for the newest frame
        self._awaited: tuple[str, str, asyncio.Future[Payload]] | None = None
        self._action_of_late_answer: dict[str, str] = {}

    async def call(self, action: str, payload: Payload) -> Payload:
        """The CSMS's answer, which the caller must take in before it awaits anything: then comes the next frame.

        Raises CallFailed, ConnectionClosed, or SchemaViolation for an invalid payload.
        """
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
        """Reads and answers frames until the connection ends. Raises ConnectionClosed.

        Gives way after each frame: whoever awaited an answer acts on it before the next frame is looked at. A CSMS may
        send StartTransaction.conf and a RemoteStopTransaction of that transaction in one TCP segment. Frames that the
        charger did not call for are read at a limited rate: meanwhile TCP holds back a CSMS that sends more.
        """
        while True:
            text = await self._socket.recv()
            self.heard += 1
            awaited, self._answering_s = self._awaited, 0.0
            await self._take_frame(text)
            called_for = awaited is not None and awaited[2].done()
            counts = 1 + len(text) // COUNTED_BYTES + int(self._answering_s / COUNTED_S)
            await asyncio.sleep(0 if called_for else self._pace.take(counts))

    async def settle(self) -> None:
        """Returns when nothing is on its way any more; then the session sends nothing more.

        The CSMS has answered the charger's call, or the time for it is up, and the charger has answered the CSMS's.
        """
        await self._one_call_at_a_time.acquire()
        await self._one_answer_at_a_time.acquire()
        await self._interference.settle()

    def abort(self) -> None:
        """Ends the connection at once and without a close frame."""
        self._socket.transport.abort()

    async def ping(self) -> None:
        """Closes the connection if the CSMS sends nothing within PING_TIMEOUT_S, not even a pong. Raises ConnectionClosed.

        A pong may be late behind frames that are read slowly; they are a sign of life as well.
        """
        heard = self.heard
        pong = await self._socket.ping()
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await pong
        except TimeoutError:
            if self.heard == heard:
                await self._socket.close(1011, "no pong")

    async def _take_frame(self, text: str | bytes) -> None:
        frame = self._read_frame(text)
        match frame:
            case frames.Call() | frames.BadFrame():
                action = frame.action if isinstance(frame, frames.Call) else UNKNOWN_ACTION
                self._log.frame("csms_to_cp", action, _readable(text))
                if self._is_silent():
                    self._remark_once("the CSMS's calls", "are not answered: it has rejected this charger")
                    return
                async with self._one_answer_at_a_time:
                    await self._answer_frame(frame)
            case _:
                self._take_answer(frame, _readable(text))

    def _read_frame(self, text: str | bytes) -> frames.Call | frames.BadFrame | Answer:
        try:
            return frames.parse_frame(text)
        except (frames.BadAnswer, frames.BadFrame) as bad:
            # However wrong, a frame with the id of the charger's call is the answer to it: nothing better will come.
            awaited = self._awaited[0] if self._awaited else None
            written = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
            if awaited and awaited.encode() in written:
                return frames.BadAnswer(awaited, str(bad))
            return bad

    async def _answer_frame(self, frame: frames.Call | frames.BadFrame) -> None:
        if isinstance(frame, frames.Call):
            await self._answer_call(frame)
            return
        self._log.remark("warning", f"the CSMS sent a bad frame: {frame}")
        await self._send_error(UNKNOWN_ACTION, frame.unique_id, frame.code, frame.description)

    async def _answer_call(self, call: frames.Call) -> None:
        if self._interference.armed:
            replaced = self._interference.replace_answer(call)
            if replaced is not None:
                await self._send(call.action, replaced)
                return
        try:
            self._refuse_unknown(call.action)
            payload = self._read_payload(call.action, call.payload, answer=False)
            began_s = time.thread_time()
            try:
                answer = self._answer(call.action, payload)
            finally:
                self._answering_s = time.thread_time() - began_s
        except SchemaViolation as violation:
            code = CODE_OF_KEYWORD.get(violation.keyword, "FormatViolation")
            await self._send_error(call.action, call.unique_id, code, str(violation))
        except OCPPError as refusal:
            await self._send_error(call.action, call.unique_id, refusal.code, str(refusal.description))
        else:
            await self._send_result(call, answer)

    def _refuse_unknown(self, action: str) -> None:
        """NotImplemented is for unknown actions, as in OCPP; the library's descriptions swap it with NotSupported."""
        if not schemas.is_known_action(self._version, action):
            raise NotImplementedError("this action is not part of the protocol")

    def _take_answer(self, frame: Answer, text: str) -> None:
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
        try:
            future.set_result(self._read_answer(action, frame))
        except CallFailed as failure:
            future.set_exception(failure)
        except SchemaViolation as violation:
            self._log.remark("warning", f"the CSMS's answer to {action} is not valid: {violation}")
            future.set_exception(CallFailed(CallFailed.BAD_ANSWER, str(violation)))

    def _read_answer(self, action: str, frame: Answer) -> Payload:
        """The payload. Raises CallFailed for an error, and SchemaViolation for an answer that cannot be used."""
        if isinstance(frame, frames.BadAnswer):
            raise SchemaViolation("frame", str(frame))
        if frame.oddity:
            if self._strict:
                raise SchemaViolation("frame", frame.oddity)
            self._remark_once(f"the CSMS's answer to {action}", frame.oddity)
        if isinstance(frame, frames.CallError):
            code = "GenericError" if frame.code in CallFailed.OWN else frame.code
            raise CallFailed(code, frame.description)
        return self._read_payload(action, frame.payload, answer=True)

    def _read_payload(self, action: str, payload: Payload, *, answer: bool) -> Payload:
        """The payload without what is tolerated. Raises SchemaViolation."""
        try:
            schemas.check_payload(self._version, action, payload, answer=answer)
        except SchemaViolation:
            if self._strict:
                raise
        else:
            return payload
        kept: Payload
        kept, oddities = schemas.tolerate(self._version, action, payload, answer=answer)
        if oddities:
            whose = f"the CSMS's answer to {action}" if answer else f"the CSMS's {action}"
            self._remark_once(whose, f"is used as far as it is valid: {'; '.join(oddities)}")
        return kept

    def _remark_once(self, whose: str, oddity: str) -> None:
        """Once per connection and message: a CSMS with a habit would fill the log."""
        if whose not in self._tolerated:
            self._tolerated.add(whose)
            self._log.remark("warning", f"{whose} {oddity[:500]}")

    async def _send_result(self, call: frames.Call, answer: Payload) -> None:
        try:
            schemas.check_payload(self._version, call.action, answer, answer=True)
        except SchemaViolation as violation:
            self._log.remark("error", f"{call.action} could not be answered: {violation}")
            await self._send_error(call.action, call.unique_id, "InternalError", "the answer is not valid")
        else:
            await self._send(call.action, frames.result_text(call.unique_id, answer))

    async def _send_error(self, action: str, unique_id: str, code: str, description: str) -> None:
        code = self._version.error_codes.get(code, code)
        await self._send(action, frames.error_text(unique_id, code, description))

    async def _send(self, action: str, text: str) -> None:
        if self._interference.armed:
            await self._interference.send(action, text, self._put)
        else:
            await self._put(action, text)

    async def _put(self, action: str, text: str) -> None:
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
