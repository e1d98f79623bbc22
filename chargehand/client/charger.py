"""One charger, for whoever writes a test of a CSMS."""

import time
from collections.abc import Callable
from typing import Any

from chargehand.client.failures import TimeIsUp
from chargehand.client.frames import newest_frames
from chargehand.client.http import Client, Row, segment
from chargehand.client.waiting import Task, Until, raise_for_failures, state_of, wait_all

WITHIN_S = 60.0
POLL_S = 0.2
MOST_FRAMES = 1000


class Charger:
    """A charger of a running stack. It may be gone: a deleted one is Refused, with the status 404.

    Every method raises Failure with the reason when it cannot do what it says: Refused for what the API refuses,
    Unreachable when nothing answers. What waits raises TimeIsUp after within_s seconds.
    """

    def __init__(self, client: Client, charger_id: str, identity: str) -> None:
        self._client = client
        self.id = charger_id
        self.identity = identity

    def __repr__(self) -> str:
        return f"<Charger {self.identity} ({self.id})>"

    def get(self) -> Row:
        """All that the API says about it, as it is now. Safe to repeat. Raises Refused once it is deleted."""
        charger: Row = self._client.get(self._path)
        return charger

    def runtime(self) -> Row:
        """What should run, what does, and under `ocpp` the link to the CSMS."""
        runtime: Row = self.get()["runtime"]
        return runtime

    def start(self, *, until: str = "accepted", within_s: float = WITHIN_S) -> None:
        """Returns when the CSMS accepted the boot, or with until="final" when the charger runs.

        Safe to repeat: what runs goes on.
        """
        self._do("start", until, within_s)

    def stop(self, *, within_s: float = WITHIN_S) -> None:
        """Returns when it has stopped. Safe to repeat."""
        self._do("stop", "final", within_s)

    def restart(self, *, until: str = "accepted", within_s: float = WITHIN_S) -> None:
        """Returns when the CSMS accepted the new boot, or with until="final" when another process runs.

        Each call restarts it once more; a stopped one starts.
        """
        self._do("restart", until, within_s)

    def delete(self) -> None:
        """It is gone at once; its process ends shortly after. Raises Refused, with the status 404, if it was gone."""
        self._client.delete(self._path)

    def logs(self, *, event: str | None = None, limit: int = MOST_FRAMES) -> list[Row]:
        """The newest frames, the oldest of them first: `direction`, `action`, `message` and `timestamp`."""
        return newest_frames(self._client, self.id, limit, event)

    def wait_until_accepted(self, *, within_s: float = WITHIN_S) -> None:
        """Returns when the CSMS has accepted it."""
        self._finish(Task(self.identity, charger_id=self.id, until=Until.ACCEPTED), within_s)

    def wait_for_frame(self, action: str, *, within_s: float = WITHIN_S) -> Row:
        """The newest frame of this action, as soon as there is one."""
        bounded = self._within(within_s)
        frames: list[Row] = []

        def has_come(_: Row) -> bool:
            frames[:] = bounded.logs(event=action, limit=1)
            return bool(frames)

        bounded.wait_until(has_come, within_s=within_s, what=f"no {action} in its log")
        return frames[-1]

    def wait_until(
        self,
        is_true: Callable[[Row], Any],
        *,
        within_s: float = WITHIN_S,
        what: str = "the condition does not hold",
    ) -> Row:
        """Returns the first runtime for which it is true."""
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
