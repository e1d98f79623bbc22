"""Sends actions to chargers, and reads what came of them."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

from chargehand.client.failures import Failure, Refused, TimeIsUp
from chargehand.client.http import Client, Row
from shared.fleet.actions.table import ActionKind

MAX_REQUESTS = 16  # at the same time
#: The status of an action whose result the API answers as an error with this code; others have failed.
STATUS_OF_CODE = {"action_rejected": "rejected", "action_expired": "expired"}


@dataclass(frozen=True)
class Result:
    """What came of an action at one charger. `status` is one of the API."""

    label: str  #: the charger's identity
    action: str
    status: str
    charger_id: str | None = None
    action_id: str | None = None
    reason: str | None = None
    result: Row | None = None

    @property
    def bad(self) -> bool:
        return self.status != "applied"

    @property
    def is_open(self) -> bool:
        return self.status in ("queued", "received")

    def as_json(self) -> Row:
        """All of it, for programs."""
        return {
            "id": self.charger_id,
            "identity": self.label,
            "ok": not self.bad,
            "action": self.action,
            "action_id": self.action_id,
            "status": self.status,
            "reason": self.reason,
            "result": self.result,
        }


def act_at_chargers(
    client: Client, action: ActionKind, chargers: Sequence[tuple[Row, Row]], wait_s: float
) -> list[Result]:
    """Send each charger its event, many at a time, and wait for the results, at most wait_s. Raises Failure.

    A charger that the API refuses has a result with status `failed`.
    """

    def act(one: tuple[Row, Row]) -> Result:
        charger, event = one
        try:
            return _act(client, action, charger, event, wait_s)
        except Refused as error:
            if error.status == 401:
                raise
            status = STATUS_OF_CODE.get(error.code, "failed")
            return Result(
                charger["identity"], action.name, status, charger["id"], error.action_id, reason=str(error)
            )

    with ThreadPoolExecutor(min(MAX_REQUESTS, len(chargers) or 1)) as threads:
        return list(threads.map(act, chargers))


def act_at_location(
    client: Client, action: ActionKind, location_id: str, event: Row, wait_s: float
) -> list[Result]:
    """Send all chargers of the location the event, with one request. Raises Failure."""
    answer = _send(client, action, {"location_id": location_id}, event, wait_s)
    return _results(action, answer)


def _act(client: Client, action: ActionKind, charger: Row, event: Row, wait_s: float) -> Result:
    answer = _send(client, action, {"charger_id": charger["id"]}, event, wait_s)
    if action.answer == "queued":
        return _results(action, answer)[0]
    if action.answer == "message":
        answer = answer["result"]
    return Result(charger["identity"], action.name, "applied", charger["id"], result=answer)


def _send(client: Client, action: ActionKind, target: Row, event: Row, wait_s: float) -> Row:
    path = f"/ocpp/commands/{action.path}"
    wait = math.ceil(wait_s) or None
    if action.method == "POST":
        body = {"target": target, "event": event}
        answer: Row = client.post(path, uuid4().hex, body, wait=wait)[1]
        return answer
    return dict(client.request(action.method, path, **target, **event, wait=wait) or {})


def _results(action: ActionKind, answer: Row) -> list[Result]:
    """A result per charger of a LocationCommandResponse."""
    performed = [
        Result(
            one["identity"],
            action.name,
            one.get("status") or "queued",
            one["charger_id"],
            one["command"]["id"],
            one.get("reason"),
            one.get("result"),
        )
        for one in answer["results"]
    ]
    failed = [
        Result(
            one["identity"] or "?",
            action.name,
            "failed",
            one.get("charger_id"),
            one.get("id"),
            one["error"],
        )
        for one in answer["failed"]
    ]
    return performed + failed


def raise_unless_applied(results: Sequence[Result], *, waited: bool) -> None:
    """Raises Failure with a line for each action that was not applied; TimeIsUp if all of these are still open.

    An open action is no failure unless somebody waited for it.
    """
    bad = [result for result in results if result.bad and (waited or not result.is_open)]
    if bad:
        late = all(result.is_open for result in bad)
        raise (TimeIsUp if late else Failure)("\n".join(_line(result) for result in bad))


def _line(result: Result) -> str:
    named = f"{result.label} ({result.charger_id})" if result.charger_id else result.label
    if result.is_open:
        return f"{named}: no result in time; it is {result.status}"
    return f"{named}: {result.status}" + (f", {result.reason}" if result.reason else "")
