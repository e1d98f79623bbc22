"""Send conflicting requests for the same chargers, and keep every answer."""

import random
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from shared.broker.app import make_celery, send
from shared.queues import TASK_OF, Message
from shared.vocabulary import EventType
from tests.faults.rig import Rig

CLIENTS = 4
PAUSE_S = 0.1  # of a client between an answer and its next request, on average
TIMEOUT_S = 60
KINDS = ("start", "stop", "restart")


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    requested_at: float  #: Unix time
    took_s: float
    charger_id: str
    kind: str
    status: int  #: 0 when there was no answer
    command_id: str | None = None
    generation: int = 0
    retry_after: str | None = None
    error: str = ""


class Load:
    """Runs inside a with-block. The same seed makes the same requests, in each client's order."""

    def __init__(
        self,
        rig: Rig,
        seed: int,
        *,
        chargers: int,
        clients: int = CLIENTS,
        pause_s: float = PAUSE_S,
        copies: int = 0,
    ) -> None:
        self.answers: list[Answer] = []
        self._rig = rig
        self._chargers = rig.chargers[:chargers]
        self._pause_s = pause_s
        self._copies = copies
        self._celery = make_celery(rig.redis_url, publisher=True)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}/{number}"),), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._celery.close()

    @property
    def accepted(self) -> list[Answer]:
        return [answer for answer in list(self.answers) if answer.status == 202]

    def _run(self, dice: random.Random) -> None:
        with self._rig.client(timeout=TIMEOUT_S) as client:
            while not self._stopping.wait(dice.uniform(0, 2 * self._pause_s)):
                answer = request(client, dice.choice(self._chargers), dice.choice(KINDS))
                self.answers.append(answer)
                if self._copies and answer.status == 202:
                    self._send_again(answer)

    def _send_again(self, answer: Answer) -> None:
        """Publish the command's message `copies` more times."""
        event_type = (
            EventType.RESET_CHARGER if answer.kind == "restart" else EventType(f"{answer.kind}_charger")
        )
        message = Message(
            command_id=answer.command_id,
            charger_id=answer.charger_id,
            event_type=event_type,
            generation=answer.generation,
            payload={},
        )
        send(self._celery, [(TASK_OF[event_type], message)] * self._copies)


def request(client: httpx.Client, charger_id: str, kind: str) -> Answer:
    """Send one request."""
    requested_at, began = time.time(), time.monotonic()
    try:
        answer = client.post(f"/ocpp/chargers/{charger_id}/{kind}-charger")
    except httpx.HTTPError as error:
        return Answer(requested_at, time.monotonic() - began, charger_id, kind, 0, error=repr(error))
    took_s = time.monotonic() - began
    if answer.status_code != 202:
        return Answer(
            requested_at,
            took_s,
            charger_id,
            kind,
            answer.status_code,
            retry_after=answer.headers.get("Retry-After"),
            error=answer.text,
        )
    body = answer.json()
    return Answer(requested_at, took_s, charger_id, kind, 202, body["command_id"], body["generation"])
