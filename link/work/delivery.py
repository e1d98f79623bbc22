"""Sends queued actions to the processes that run their chargers."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import orjson
import structlog

from link import metrics
from link.database import Database
from link.rows.actions import ActionResult, OpenAction, actions_to_send
from link.session import Session
from link.sessions import Sessions
from link.wire.portions import portions
from link.work.loop import Loop
from shared.error_codes import ActionCode
from shared.sealing import CannotOpen, Sealer

log = structlog.get_logger(__name__)

POLL_S = 0.25  # a hint may be lost
PAUSE_S = 0.01
AT_ONCE = 5_000
MAX_FRAME_CHARACTERS = 512 * 1024  # of one frame of actions; half of what a peer takes
#: A charger that is connected confirms at once. It is waited for a little longer than the action's time.
CONFIRMED_WITHIN_S = 4.0


@dataclass(frozen=True, slots=True)
class _Sent:
    session: Session
    charger_id: str
    confirmed_by: float  #: on the monotonic clock


class Delivery:
    """One per process. Knows what it has sent and the database does not show as received yet."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        link_id: str,
        sessions: Sessions,
        conclude: Callable[[ActionResult], None],
    ) -> None:
        """`conclude` writes what became of an action that no charger answers."""
        self.loop = Loop("delivery", self._deliver, every_s=POLL_S, pause_s=PAUSE_S)
        self._database = database
        self._sealer = sealer
        self._link_id = link_id
        self._sessions = sessions
        self._conclude = conclude
        self._resumed: set[str] = set()
        self._sent: dict[int, _Sent] = {}
        self._sent_over: dict[Session, set[int]] = {}

    def resume(self, charger_ids: Iterable[str]) -> None:
        """Send these chargers, which have just connected, all that is open: what they have had, they answer again."""
        self._resumed.update(charger_ids)
        self.loop.wake()

    def end(self, session: Session) -> None:
        """What was sent over the session is sent again over the next one."""
        for action_id in self._sent_over.pop(session, ()):
            if action_id in self._sent and self._sent[action_id].session is session:
                del self._sent[action_id]

    def confirm(self, charger_id: str, action_id: int) -> None:
        """The charger has answered, and the answer will be written: there is nothing to give up."""
        sent = self._sent.get(action_id)
        if sent is not None and sent.charger_id == charger_id:
            self._sent[action_id] = replace(sent, confirmed_by=math.inf)

    def written(self, action_ids: Iterable[int]) -> None:
        """The rows of these actions show an answer."""
        for action_id in action_ids:
            sent = self._sent.pop(action_id, None)
            if sent is not None and sent.session in self._sent_over:
                self._sent_over[sent.session].discard(action_id)

    async def _deliver(self) -> None:
        self._give_up()
        if not self._sessions:
            return
        resumed, self._resumed = self._resumed, set()
        sent = set(self._sent)
        try:
            actions = await self._database.run(
                lambda rows: actions_to_send(rows, self._link_id, sent=sent, resumed=resumed, at_most=AT_ONCE)
            )
        except BaseException:
            self._resumed |= resumed
            raise
        if len(actions) == AT_ONCE:
            self._resumed |= resumed
            self.loop.wake()
        self._send(action for action in actions if action.id not in self._sent)

    def _send(self, actions: Iterable[OpenAction]) -> None:
        frames: dict[Session, list[dict[str, Any]]] = {}
        for action in actions:
            session = self._sessions.of(action.process_id)
            if (
                session is None
                or session.id != action.session_id
                or action.charger_id not in session.chargers
            ):
                continue  # its session has ended, or has not begun: when it does, the action is read again
            frame = self._frame_of(action)
            confirmed_by = monotonic() + max(CONFIRMED_WITHIN_S, action.expires_in_s + 1)
            self._sent[action.id] = _Sent(session, action.charger_id, confirmed_by)
            self._sent_over.setdefault(session, set()).add(action.id)
            if frame is not None:
                frames.setdefault(session, []).append(frame)
                metrics.SENT.inc()
                metrics.SENT_AFTER.observe(action.age_s)
        for session, several in frames.items():
            for some in portions(several, MAX_FRAME_CHARACTERS):
                session.send({"type": "actions", "actions": some})

    def _frame_of(self, action: OpenAction) -> dict[str, Any] | None:
        """The action as it is sent; None for one that must not or cannot be, which is then concluded."""
        if not action.is_for_this_boot:
            reason = "The charger was restarted before it said what came of the action"
            self._fail(action.id, action.charger_id, ActionCode.RESTARTED, reason)
            return None
        event = action.event
        if action.sealed_event is not None:
            try:
                event = orjson.loads(self._sealer.open_sealed(action.sealed_event))
            except CannotOpen as error:
                self._fail(action.id, action.charger_id, ActionCode.FAILED, str(error))
                return None
        return {
            "charger": action.charger_id,
            "id": action.id,
            "name": action.name,
            "event": event,
            "expires_in_s": round(action.expires_in_s, 3),
        }

    def _give_up(self) -> None:
        """Conclude what a connected charger has not confirmed. It may have been applied, and the reason says so."""
        now = monotonic()
        for action_id, sent in self._sent.items():
            if sent.confirmed_by < now:
                self._sent[action_id] = replace(sent, confirmed_by=math.inf)
                reason = "The charger has not confirmed the action: it may have been applied"
                self._fail(action_id, sent.charger_id, ActionCode.NO_ANSWER, reason)

    def _fail(self, action_id: int, charger_id: str, code: ActionCode, reason: str) -> None:
        log.warning("action.failed", action_id=action_id, charger_id=charger_id, reason_code=code)
        self._conclude(ActionResult(action_id, charger_id, "failed", reason, code))
