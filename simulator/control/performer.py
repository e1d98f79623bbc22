"""Performs the actions that come over the control link: each once, however often it comes."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from simulator.actions.outcome import Outcome
from simulator.control.frames import Frame
from simulator.control.hosted import Hosted

#: Actions per charger whose answers are kept for a repeat. The API takes 100 open ones per charger.
MAX_ANSWERS = 256

#: Of the results that are kept with them, as JSON: the newest. As objects they take several times as much.
MAX_KEPT_BYTES = 256 * 1024

#: Beyond the time that the CSMS has to answer.
MARGIN_S = 5.0


class Answer(NamedTuple):
    """As the link gets it."""

    status: str
    reason: str | None = None
    result: Frame | None = None


#: To an action that has begun and waits for the CSMS's verdict.
PENDING = Answer("received")

NOT_HERE = Answer("failed", "this charger does not run in this process")
OFF = Answer("failed", "the charger is off")
NOT_KEPT = "the result was sent, and is not kept any more"


class _Held(NamedTuple):
    """An action of a charger that has not begun yet."""

    action_id: int
    name: str
    event: Mapping[str, Any]
    expires_at_s: float  #: on the event loop's clock


class Answers:
    """To the newest actions of a charger, for their repeats. The link asks again for those that it has not written."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[int, Answer] = OrderedDict()
        self._bytes: OrderedDict[int, int] = OrderedDict()  #: of the results that are kept
        self._kept_bytes = 0

    def get(self, action_id: int) -> Answer | None:
        return self._by_id.get(action_id)

    def keep(self, action_id: int, answer: Answer) -> None:
        """Older answers lose their results, and then are removed, when there is too much."""
        self._by_id[action_id] = answer
        if answer.result is not None:
            self._bytes[action_id] = len(json.dumps(answer.result))
            self._kept_bytes += self._bytes[action_id]
        while self._kept_bytes > MAX_KEPT_BYTES and len(self._bytes) > 1:
            oldest, size = self._bytes.popitem(last=False)
            self._kept_bytes -= size
            self._by_id[oldest] = self._by_id[oldest]._replace(result=None, reason=NOT_KEPT)
        if len(self._by_id) > MAX_ANSWERS and (final := self._oldest_final()) is not None:
            del self._by_id[final]
            self._kept_bytes -= self._bytes.pop(final, 0)

    def _oldest_final(self) -> int | None:
        """One that has not ended stays: its repeat would be performed a second time."""
        return next((id_ for id_, answer in self._by_id.items() if answer is not PENDING), None)


class Performer:
    def __init__(self, chargers: Mapping[str, Hosted], on_result: Callable[[], object]) -> None:
        """`on_result` is called when there is something for `take`."""
        self._chargers = chargers
        self._on_result = on_result
        self._answers: dict[str, Answers] = {}
        self._results: list[Frame] = []
        self._held: dict[str, list[_Held]] = {}
        self._closed = False

    def take(self) -> list[Frame]:
        """The answers since the last call. Those that get lost come again: the link repeats what is open."""
        results, self._results = self._results, []
        return results

    def end_session(self) -> None:
        """What has no answer yet comes again over the next session."""
        self._results.clear()
        self._held.clear()

    def close(self) -> None:
        """From now on nothing begins."""
        self._closed = True

    def drop(self, charger_id: str) -> None:
        """Safe to repeat."""
        self._answers.pop(charger_id, None)
        self._held.pop(charger_id, None)

    def perform(
        self, charger_id: str, action_id: int, name: str, event: Mapping[str, Any], expires_in_s: float
    ) -> None:
        """Begins an action, or answers its repeat as the first time.

        Until the charger has begun, and at most for `expires_in_s`, its actions wait.
        """
        answers = self._answers.get(charger_id)
        known = answers.get(action_id) if answers else None
        hosted = self._chargers.get(charger_id)
        waits = hosted is not None and hosted.charge_point is None and not hosted.is_off
        if known is None and waits and not self._closed:
            expires_at_s = asyncio.get_running_loop().time() + expires_in_s
            self._held.setdefault(charger_id, []).append(_Held(action_id, name, event, expires_at_s))
            return
        answer = known or self._begin(hosted, charger_id, action_id, name, event)
        self._answer(charger_id, action_id, answer)

    def resume(self, hosted: Hosted) -> None:
        """The charger begins, or is off: its actions that wait happen or fail now, but for those that the link has given up."""
        now_s = asyncio.get_running_loop().time()
        for held in self._held.pop(hosted.id, []):
            if held.expires_at_s > now_s:
                self.perform(hosted.id, held.action_id, held.name, held.event, held.expires_at_s - now_s)

    def _begin(
        self, hosted: Hosted | None, charger_id: str, action_id: int, name: str, event: Mapping[str, Any]
    ) -> Answer:
        if hosted is None:
            return NOT_HERE
        if self._closed or hosted.charge_point is None:
            return OFF
        begun = hosted.charge_point.actions.begin(name, event)
        answer = PENDING
        if isinstance(begun, asyncio.Future):
            limit_s = hosted.charge_point.settings.call_timeout_s + MARGIN_S
            self._finish_later(charger_id, action_id, begun, limit_s)
        else:
            answer = Answer(*begun)
        self._keep(charger_id, action_id, answer)
        return answer

    def _finish_later(
        self, charger_id: str, action_id: int, begun: "asyncio.Future[Outcome]", limit_s: float
    ) -> None:
        late = Answer("failed", f"no answer of the CSMS within {limit_s:g} s")
        limit = asyncio.get_running_loop().call_later(limit_s, self._finish, charger_id, action_id, late)

        def finish(done: "asyncio.Future[Outcome]") -> None:
            limit.cancel()
            self._finish(charger_id, action_id, _answer_of(done))

        begun.add_done_callback(finish)

    def _finish(self, charger_id: str, action_id: int, answer: Answer) -> None:
        """The first end counts."""
        answers = self._answers.get(charger_id)
        if answers is not None and (answers.get(action_id) or PENDING) is PENDING:
            self._keep(charger_id, action_id, answer)
            self._answer(charger_id, action_id, answer)

    def _keep(self, charger_id: str, action_id: int, answer: Answer) -> None:
        self._answers.setdefault(charger_id, Answers()).keep(action_id, answer)

    def _answer(self, charger_id: str, action_id: int, answer: Answer) -> None:
        self._results.append({"charger": charger_id, "id": action_id, **answer._asdict()})
        self._on_result()


def _answer_of(done: "asyncio.Future[Outcome]") -> Answer:
    if done.cancelled():
        return Answer("failed", "the charger gave it up")
    error = done.exception()
    return (
        Answer(*done.result()) if error is None else Answer("failed", f"the charger failed: {error!r}"[:500])
    )
