"""A CSMS that answers one call in five wrongly, and remembers the messages about transactions."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from simulator.clock import format_time, parse_time
from simulator.misbehaviour.switches import NOT_A_VALUE
from tests.support.csms import NOW

Payload = dict[str, Any]

#: Identifies a message about a transaction, whatever the attempt: its payload as text.
Key = str

RIGHT: dict[str, Payload] = {
    "Authorize": {"idTagInfo": {"status": "Accepted"}, "idTokenInfo": {"status": "Accepted"}},
    "BootNotification": {"currentTime": NOW, "interval": 300, "status": "Accepted"},
    "DataTransfer": {"status": "Accepted"},
    "Heartbeat": {"currentTime": NOW},
    "StartTransaction": {"transactionId": 0, "idTagInfo": {"status": "Accepted"}},
    "StopTransaction": {"idTagInfo": {"status": "Accepted"}},
    "TransactionEvent": {"idTokenInfo": {"status": "Accepted"}},
}
ABOUT_TRANSACTIONS = ("StartTransaction", "StopTransaction", "TransactionEvent")

#: An answer that was sent this long before the end of its connection may be lost.
IN_DOUBT_S = 0.5

#: A longer turn of the event loop may have let calls time out.
STALL_S = 0.3

REFUSALS = ("Blocked", "Expired", "Invalid", "ConcurrentTx")


class Reply(NamedTuple):
    frames: list[str]
    settles: bool  #: whether the charger may take the message as delivered
    then_cut: bool = False


def _result(unique_id: str, payload: object) -> str:
    return json.dumps([3, unique_id, payload])


def _error(unique_id: str, *rest: object) -> str:
    return json.dumps([4, unique_id, *rest])


def _refused(right: Payload, rng: Random) -> Payload:
    """The same answer, with a token that is not accepted."""
    status = rng.choice(REFUSALS)
    return {name: {"status": status} if name.startswith("idT") else value for name, value in right.items()}


#: The charger takes these as answers: they are valid, or hold all that it needs.
TOLERABLE: tuple[Callable[[str, Payload, Random], list[str]], ...] = (
    lambda uid, right, _: [_result(uid, right | {"surplus": {"a": [1]}})],
    lambda uid, right, _: [_result(uid, right | {"customData": None})],
    lambda uid, right, rng: [_result(uid, _refused(right, rng))],
    lambda uid, right, _: [_result(uid, right)] * 2,
    lambda uid, right, rng: [_result(uid, right), _request(rng)],
    lambda uid, right, rng: [_request(rng), _result(uid, right)],
    lambda uid, right, _: ["{", _error("-1", "GenericError", "", {}), _result(uid, right)],
)

#: These are no answers, or errors: a message about a transaction is sent again.
INTOLERABLE: tuple[Callable[[str, Payload, Random], list[str]], ...] = (
    lambda uid, right, _: [_error(uid, "InternalError", "no luck", {})],
    lambda uid, right, _: [_error(uid, "InternalError", "SQL", "SQL [insert into transaction ...]")],
    lambda uid, right, _: [_error(uid, "Nonsense", None, None)],
    lambda uid, right, _: [_result(f"{uid}x", right)],
    lambda uid, right, _: [],
    lambda uid, right, _: [f'[3,"{uid}",'],
    lambda uid, right, _: [_result(uid, "text")],
)

#: Wrong values of fields that an answer has; a charger that cannot use one takes the answer as none.
WRONG_VALUES: dict[str, tuple[str, ...]] = {
    "currentTime": ('"0001-01-01T00:00:00+02:00"', '"9999-12-31T23:59:59-14:00"', '"noon"', "12"),
    "interval": ("-1", "1e400", "1" + "0" * 400, "null", '"300"'),
    "transactionId": ("null", '"7"', "1.5", "1e400"),
    "idTagInfo": ('{"status": "Maybe"}', "[]", '{"status": null}'),
    "idTokenInfo": ('{"status": "Maybe"}', "[]", '{"status": null}'),
}


def _request(rng: Random) -> str:
    """A call of the CSMS, right or wrong, that both versions know."""
    unique_id = f"{rng.getrandbits(64):016x}"
    action, payload = rng.choice(
        (
            ("ClearCache", {}),
            ("GetLocalListVersion", {}),
            ("DataTransfer", {"vendorId": "nobody"}),
            ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
            ("TriggerMessage", {"requestedMessage": "Nonsense"}),
            ("SendLocalList", {"listVersion": "one"}),
            ("Nonsense", {}),
        )
    )
    return json.dumps([2, unique_id, action, payload])


def _read(text: str | bytes) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


class WrongCsms:
    """Accepts every charger. `wrong_share` of the answers are wrong, in a way that depends on the charger's `Random`."""

    def __init__(self, *, wrong_share: float = 0.2) -> None:
        self.wrong_share = wrong_share
        self.received: dict[str, dict[Key, Payload]] = defaultdict(
            dict
        )  #: about transactions, by identity, in order
        #: those that were answered for sure, with the moment of the answer
        self._settled: dict[str, dict[Key, float]] = defaultdict(dict)
        self.transaction_ids: dict[str, dict[Key, int]] = defaultdict(dict)  #: of 1.6, by StartTransaction
        self.sent_again: list[str] = []  #: messages that came again after an answer that settled them
        self.calls = 0
        self.wrong_answers = 0
        self.bad_frames = 0  #: of chargers that misbehave
        self._random: dict[str, Random] = {}
        self._sockets: dict[str, ServerConnection] = {}
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._last_settled: dict[str, Key] = {}
        self._began_s = time.monotonic()
        self._stalled_s = 0.0  #: when the event loop last stood still
        self._watch: asyncio.Task[None] | None = None
        self._server: Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        subprotocols = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]
        self._server = await serve(self._serve, "127.0.0.1", 0, subprotocols=subprotocols, compression=None)
        self._watch = asyncio.create_task(self._watch_loop())
        self.url = f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/ocpp"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._watch is not None
        self._watch.cancel()
        self._server.close()
        await self._server.wait_closed()

    async def request(self, identity: str, action: str, payload: Payload) -> None:
        """Send a call to the charger, if it is connected; wait a moment for its answer, whatever that is."""
        socket = self._sockets.get(identity)
        if socket is None:
            return
        unique_id = f"{self._random_of(identity).getrandbits(64):016x}"
        answered = self._waiting[unique_id] = asyncio.get_running_loop().create_future()
        try:
            await socket.send(json.dumps([2, unique_id, action, payload]))
            async with asyncio.timeout(1):
                await answered
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            del self._waiting[unique_id]

    def cut(self, identity: str) -> None:
        """Break the connection."""
        if identity in self._sockets:
            self._sockets[identity].transport.abort()

    def _random_of(self, identity: str) -> Random:
        return self._random.setdefault(identity, Random(identity))

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = socket.request.path.rpartition("/")[2]
        self._sockets[identity] = socket
        try:
            async for text in socket:
                frame = _read(text)
                if frame is None:
                    self.bad_frames += 1
                elif frame[0] == 2 and NOT_A_VALUE in str(text):
                    self.bad_frames += 1
                    await socket.send(_error(frame[1], "PropertyConstraintViolation", "", {}))
                elif frame[0] == 2:
                    await self._answer(identity, socket, *frame[1:])
                elif frame[1] in self._waiting and not self._waiting[frame[1]].done():
                    self._waiting[frame[1]].set_result(frame[2:])
        except ConnectionClosed:
            pass
        finally:
            self._doubt_last_answer(identity)
            if self._sockets.get(identity) is socket:
                del self._sockets[identity]

    def _doubt_last_answer(self, identity: str) -> None:
        """What was answered just before a connection ended may not have arrived, so it may be sent again."""
        key = self._last_settled.pop(identity, "")
        if time.monotonic() - self._settled[identity].get(key, 0.0) < IN_DOUBT_S:
            self._settled[identity].pop(key, None)

    async def _watch_loop(self) -> None:
        """On a busy machine an answer may be read too late, so it counts for nothing: its call has timed out."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.05)
            if time.monotonic() - before_s > STALL_S:
                self._stalled_s = time.monotonic()

    async def _answer(
        self, identity: str, socket: ServerConnection, unique_id: str, action: str, payload: Payload
    ) -> None:
        self.calls += 1
        key = json.dumps([action, payload], sort_keys=True)
        if self._settled[identity].get(key, 0.0) > self._stalled_s:
            self.sent_again.append(f"{identity}: {key}")
        reply = self._reply(identity, unique_id, action, key)
        if action in ABOUT_TRANSACTIONS:
            self.received[identity][key] = payload
            if reply.settles:
                self._settled[identity][key] = time.monotonic()
                self._last_settled[identity] = key
        for frame in reply.frames:
            await socket.send(frame)
        if reply.then_cut:
            socket.transport.abort()

    def _reply(self, identity: str, unique_id: str, action: str, key: Key) -> Reply:
        rng, right = self._random_of(identity), self._right(identity, action, key)
        if rng.random() >= self.wrong_share:
            return Reply([_result(unique_id, right)], settles=True)
        self.wrong_answers += 1
        match rng.randrange(8):
            case 0:
                return Reply([], settles=False, then_cut=True)
            case 1 | 2 | 3:
                return Reply(rng.choice(TOLERABLE)(unique_id, right, rng), settles=True)
            case 4 | 5:
                wrong = _with_wrong_value(unique_id, right, rng)
                if wrong is not None:
                    return Reply([wrong], settles=False)
        return Reply(rng.choice(INTOLERABLE)(unique_id, right, rng), settles=False)

    def _now(self) -> str:
        """It goes on: two starts of a transaction at the same moment would be the same message."""
        return format_time(parse_time(NOW) + time.monotonic() - self._began_s)

    def _right(self, identity: str, action: str, key: Key) -> Payload:
        right = RIGHT.get(action, {})
        if action == "Authorize":
            field = "idTagInfo" if '"idTag"' in key else "idTokenInfo"
            return {field: right[field]}
        if "currentTime" in right:
            return right | {"currentTime": self._now()}
        if action != "StartTransaction":
            return right
        known = self.transaction_ids[identity]
        return right | {"transactionId": known.setdefault(key, len(known) + 1)}


def _with_wrong_value(unique_id: str, right: Payload, rng: Random) -> str | None:
    """The right answer with a wrong value in a field that the charger needs; None: it has none."""
    fields = [name for name in right if name in WRONG_VALUES]
    if not fields:
        return None
    name = rng.choice(fields)
    values = {each: json.dumps(value) for each, value in right.items()} | {
        name: rng.choice(WRONG_VALUES[name])
    }
    body = ",".join(f'"{each}":{value}' for each, value in values.items())
    return f'[3,"{unique_id}",{{{body}}}]'
