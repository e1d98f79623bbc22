"""Performs the actions of the table at one charger."""

import json
from asyncio import Future
from collections.abc import Mapping
from typing import Any

from simulator.actions.charger import Charger
from simulator.actions.fields import BadField
from simulator.actions.outcome import Failed, Outcome, Rejected
from simulator.actions.row import Result
from simulator.actions.table import TABLE
from simulator.link.frames import MAX_DEPTH, is_too_deep

#: Of an event, as JSON.
MAX_EVENT_BYTES = 256 * 1024


class Actions:
    def __init__(self, charger: Charger) -> None:
        self._charger = charger

    def begin(self, name: str, event: Mapping[str, Any]) -> Outcome | Future[Outcome]:
        """The outcome, or its future while the CSMS's answer is awaited; it is bounded by the call time-out.

        Never raises. An outcome that is `rejected` at once has changed nothing.
        """
        row = TABLE.get(name) if isinstance(name, str) else None
        if row is None:
            return Outcome("rejected", f"this charger has no action {str(name)[:50]}").made_plain()
        try:
            _check_text(event)
            result = row.function(self._charger, row.read(event))
        except (BadField, Rejected) as refusal:
            return Outcome("rejected", str(refusal)).made_plain()
        except Failed as failure:
            return Outcome("failed", str(failure))
        except Exception as error:
            self._charger.log.remark("error", f"{name} could not be performed: {error!r}"[:500])
            return Outcome("failed", "the charger failed on this action")
        return _outcome(result)

    async def perform(self, name: str, event: Mapping[str, Any]) -> Outcome:
        """The outcome, also of an action whose answer the CSMS has. Never raises."""
        outcome = self.begin(name, event)
        return await outcome if isinstance(outcome, Future) else outcome


def _outcome(result: Result) -> Outcome | Future[Outcome]:
    if isinstance(result, Future):
        return result.result() if result.done() else result
    outcome = result if isinstance(result, Outcome) else Outcome("applied", None, result)
    return outcome.made_plain()


def _check_text(event: Mapping[str, Any]) -> None:
    """Raises BadField for what no frame can carry: too deep, too long, NaN, half of a surrogate pair."""
    if not isinstance(event, Mapping):
        raise BadField("the event is not an object")
    if is_too_deep(event):
        raise BadField(f"the event is more than {MAX_DEPTH} levels deep")
    try:
        text = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        raise BadField("the event is not JSON in UTF-8") from None
    if len(text) > MAX_EVENT_BYTES:
        raise BadField(f"the event has more than {MAX_EVENT_BYTES} bytes")
