"""A charger of a running stack, for tests of a CSMS."""

import time
from collections.abc import Callable
from typing import Any

from chargehand.client.actions import act_at_chargers, raise_unless_applied
from chargehand.client.actions_table import action_named, event_of_charger
from chargehand.client.failures import TimeIsUp
from chargehand.client.frames import newest_frames, payload_of
from chargehand.client.http import Client, Row, segment
from chargehand.client.waiting import Task, Until, raise_for_failures, state_of, wait_all

WITHIN_S = 60.0
ACTION_WITHIN_S = 30.0
POLL_S = 0.2
MAX_FRAMES = 1000


class Charger:
    """A charger of a running stack. For a deleted charger, methods raise Refused with the status 404.

    Every method raises Failure with the reason: Refused for an error answer of the API, Unreachable without an
    answer. Methods that wait raise TimeIsUp after within_s seconds.
    """

    def __init__(self, client: Client, charger_id: str, identity: str) -> None:
        self._client = client
        self.id = charger_id
        self.identity = identity

    def __repr__(self) -> str:
        return f"<Charger {self.identity} ({self.id})>"

    def get(self) -> Row:
        """The charger as the API shows it now."""
        charger: Row = self._client.get(self._path)
        return charger

    def runtime(self) -> Row:
        """The desired and the observed state; under `ocpp`, the connection to the CSMS."""
        runtime: Row = self.get()["runtime"]
        return runtime

    def start(self, *, until: str = "accepted", within_s: float = WITHIN_S) -> None:
        """Start it and wait until the CSMS has accepted the boot; with until="final", until the charger runs.

        Safe to repeat: a running charger continues.
        """
        self._do("start", until, within_s)

    def stop(self, *, within_s: float = WITHIN_S) -> None:
        """Stop it and wait until it has stopped. Safe to repeat."""
        self._do("stop", "final", within_s)

    def restart(self, *, until: str = "accepted", within_s: float = WITHIN_S) -> None:
        """Restart it and wait until the CSMS has accepted the new boot; with until="final", until a new process runs.

        Each call restarts it again. A stopped charger starts.
        """
        self._do("restart", until, within_s)

    def delete(self) -> None:
        """Delete it. Its process ends shortly afterwards. Raises Refused, with the status 404, if it was already deleted."""
        self._client.delete(self._path)

    def logs(
        self, *, event: str | None = None, kind: str | None = None, limit: int = MAX_FRAMES
    ) -> list[Row]:
        """The newest frames, at most `limit`, the oldest first: `direction`, `action`, `message` and `timestamp`.

        With kind="remark", what the charger could not do or accept, with `level` instead of direction and action. With
        kind="connection", the changes of its link, with `state` and `reason`.
        """
        return newest_frames(self._client, self.id, limit, event, kind)

    def wait_until_accepted(self, *, within_s: float = WITHIN_S) -> None:
        """Wait until the CSMS has accepted it."""
        self._finish(Task(self.identity, charger_id=self.id, until=Until.ACCEPTED), within_s)

    def wait_for_frame(self, action: str, *, within_s: float = WITHIN_S, **payload: Any) -> Row:
        """Wait until there is a frame of this action, whose payload has these members. Returns the newest one."""
        bounded = self._within(within_s)
        frames: list[Row] = []

        def has_come(_: Row) -> bool:
            newest = bounded.logs(event=action, limit=MAX_FRAMES if payload else 1)
            frames[:] = [frame for frame in newest if payload.items() <= payload_of(frame).items()]
            return bool(frames)

        wanted = f"{action} with {payload}" if payload else action
        bounded.wait_until(has_come, within_s=within_s, what=f"no {wanted} in its log")
        return frames[-1]

    def act(self, action: str, /, *, within_s: float = ACTION_WITHIN_S, **event: Any) -> Row:
        """Perform an action of docs/ocpp.md, and return its result: `charger.act("plug_connector", connector_id=1)`.

        The result has what the CSMS answered, where the action needs the CSMS. Raises Failure with the reason if the
        charger or its CSMS refused.
        """
        kind = action_named(action)
        event = {**event_of_charger(kind, self.get()), **event}
        charger = {"id": self.id, "identity": self.identity}
        results = act_at_chargers(self._client, kind, [(charger, event)], within_s)
        raise_unless_applied(results, waited=True)
        return results[0].result or {}

    def wait_until(
        self,
        is_true: Callable[[Row], Any],
        *,
        within_s: float = WITHIN_S,
        what: str = "the condition does not hold",
    ) -> Row:
        """Wait until `is_true` is true for the runtime, and return that. `what` says in the error what did not happen."""
        bounded = self._within(within_s)
        deadline = time.monotonic() + within_s
        while True:
            charger = bounded.get()
            runtime: Row = charger["runtime"]
            if is_true(runtime):
                return runtime
            if time.monotonic() > deadline:
                now = ", ".join(filter(None, state_of(charger)))
                raise TimeIsUp(f"{self.identity}: {what} after {within_s:g} s: {now}")
            time.sleep(POLL_S)

    def _within(self, within_s: float) -> "Charger":
        return Charger(self._client.within(within_s), self.id, self.identity)

    def _do(self, verb: str, until: str, within_s: float) -> None:
        task = Task(self.identity, f"{self._path}/{verb}-charger", charger_id=self.id, until=Until(until))
        self._finish(task, within_s)

    def _finish(self, task: Task, within_s: float) -> None:
        wait_all(self._client, [task], within_s)
        raise_for_failures([task])

    @property
    def _path(self) -> str:
        return f"/ocpp/chargers/{segment(self.id)}"
