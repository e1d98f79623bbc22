"""The CSMS's answer to what an action sends is part of the outcome."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from simulator.actions.charger import Charger
from simulator.actions.outcome import Failed, Outcome
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message
from simulator.link.session import CallFailed
from simulator.station.model import Connector


class Verdict:
    """The future outcome of an action; it comes within the charger's call time-out."""

    def __init__(self, charger: Charger, late: Callable[[str], Outcome]) -> None:
        """`late` makes the outcome when no answer has come in time."""
        self.limit_s = charger.settings.call_timeout_s
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Outcome] = loop.create_future()
        self._timer = loop.call_later(self.limit_s, lambda: self.settle(late(self._no_answer())))

    def settle(self, outcome: Outcome) -> None:
        """The first outcome counts."""
        self._timer.cancel()
        if not self.future.done():
            self.future.set_result(outcome.made_plain())

    def _no_answer(self) -> str:
        return f"the CSMS has not answered within {self.limit_s:g} s"


def call_csms(
    charger: Charger, action: str, payload: Payload, take: Callable[[Payload], Outcome]
) -> asyncio.Future[Outcome]:
    """Sends a call; `take` makes the outcome of a valid answer. Raises Failed while the CSMS is out of reach.

    A call that is still unsent when its time is over is not sent any more.
    """
    if not charger.reachable:
        why = "is not accepted by its CSMS" if charger.online else "is offline"
        raise Failed(f"{action} was not sent: the charger {why}")

    def give_up(reason: str) -> Outcome:
        if not message.in_flight:
            charger.delivery.outbox.remove(message)
        return Outcome("failed", reason)

    def on_answer(answer: Answer) -> None:
        verdict.settle(_failure(answer) if isinstance(answer, CallFailed) else take(answer))

    verdict = Verdict(charger, give_up)
    message = Message(action, payload, on_answer, requested=True)
    charger.delivery.queue(message)
    return verdict.future


def _failure(failure: CallFailed) -> Outcome:
    if failure.code in CallFailed.OWN:
        return Outcome("failed", failure.description)
    error = {"code": failure.code, "description": failure.description}
    return Outcome("rejected", f"the CSMS answered {failure}"[:500], {"error": error})


def judge(charger: Charger, answer: Payload, more: dict[str, Any] | None = None) -> Outcome:
    """The outcome by what the answer says of the token: any status but Accepted is a no of the CSMS."""
    info = answer.get(charger.info_field)
    status = info["status"] if info else None
    result = {**(more or {}), **({"token_status": status} if status else {}), "answer": answer}
    if status in (None, "Accepted"):
        return Outcome("applied", None, result)
    return Outcome("rejected", f"the CSMS answered {status}", result)


def _of_start(failure: CallFailed, result: dict[str, Any]) -> Outcome:
    """The transaction has begun, whatever became of the answer; an error is the CSMS's no."""
    outcome = _failure(failure)
    status: Literal["applied", "rejected"] = "applied" if outcome.status == "failed" else "rejected"
    return Outcome(status, outcome.reason, result | (outcome.result or {}))


def started(
    charger: Charger, connector: Connector, result: dict[str, Any]
) -> asyncio.Future[Outcome] | Outcome:
    """The outcome of an action that has begun a transaction: what the CSMS says of its token.

    Offline the transaction has begun all the same, and the CSMS learns of it later.
    """
    transaction = connector.transaction
    message = charger.delivery.outbox.first_of(transaction.id) if transaction else None
    if transaction is None or message is None or not charger.reachable:
        return Outcome("applied", "the CSMS learns of it later: the charger is offline", result)

    def known() -> dict[str, Any]:
        return result | {"transaction_id": charger.transaction_id_of(transaction)}

    def take(answer: Answer) -> None:
        if isinstance(answer, CallFailed):
            verdict.settle(_of_start(answer, known()))
        else:
            verdict.settle(judge(charger, answer, known()))

    verdict = Verdict(charger, lambda reason: Outcome("applied", reason, known()))
    message.on_answer = take
    return verdict.future
