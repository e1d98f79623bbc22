"""What is due at intervals: the heartbeat, the end of actions and sessions that nobody ends, and new tokens."""

from collections.abc import Awaitable, Callable, Iterable
from time import monotonic

import structlog

from link import metrics
from link.database import Database
from link.rows.actions import Finished, abandon_actions, expire_actions
from link.rows.hosts import deleted_hosts, not_placed
from link.rows.sessions import (
    Departure,
    HeldSession,
    deleted_chargers,
    end_dead_links,
    end_sessions,
    my_sessions,
    prune_sessions,
    revive_sessions,
    write_heartbeat,
)
from link.session import Session
from link.sessions import Sessions
from link.wire.closing import CloseCode
from link.work.loop import Loop
from shared.auth.control_tokens import SESSION_TOKEN_TTL_S, ControlTokens

log = structlog.get_logger(__name__)

HEARTBEAT_S = 5.0  # a third of LINK_TIMEOUT
EXPIRE_S = 1.0
DEAD_LINKS_S = 5.0
CHECK_S = 15.0
PRUNE_S = 3600.0


class Upkeep:
    """One per process. Any number of processes may do it at the same time."""

    def __init__(
        self,
        database: Database,
        link_id: str,
        sessions: Sessions,
        tokens: ControlTokens,
        *,
        write_results: Callable[[], Awaitable[None]],
        part: Callable[[Session, Iterable[str]], None],
    ) -> None:
        """`write_results` returns when the answers of chargers are written that this process has. It may raise.

        `part` ends chargers in a host.
        """
        self._write_results = write_results
        self._part = part
        self._database = database
        self._link_id = link_id
        self._sessions = sessions
        self._tokens = tokens
        self.loops = [
            Loop("heartbeat", self.write_heartbeat, every_s=HEARTBEAT_S),
            Loop("expiry", self._end_actions, every_s=EXPIRE_S),
            Loop("dead links", self._end_dead_links, every_s=DEAD_LINKS_S),
            Loop("sessions", self._check_sessions, every_s=CHECK_S),
            Loop("pruning", self._prune, every_s=PRUNE_S),
        ]

    async def write_heartbeat(self) -> None:
        """Say that this process lives. Raises SQLAlchemyError."""
        await self._database.run(lambda rows: write_heartbeat(rows, self._link_id))

    async def _end_actions(self) -> None:
        """An action that its charger has answered is not ended, also when its answer has waited for the database."""
        await self._write_results()
        count_finished(await self._database.run(lambda rows: expire_actions(rows, self._link_id)))
        count_finished(await self._database.run(abandon_actions))

    async def _end_dead_links(self) -> None:
        await self._database.run(end_dead_links)

    async def _prune(self) -> None:
        await self._database.run(prune_sessions)

    async def _check_sessions(self) -> None:
        """Make rows and connections agree, end the sessions of deleted chargers, and renew tokens."""
        known = {session.id: session for session in self._sessions}
        held = await self._database.run(lambda rows: my_sessions(rows, self._link_id))
        for session_id in known.keys() - held.keys():
            known[session_id].end(CloseCode.TAKEN, "a newer session of this process")
        await self._revive(each for each in held.values() if not each.connected)
        await self._end_lost(each for each in held.values() if each.connected and each.settled)
        await self._end_deleted()
        await self._check_hosts()
        for session in known.values():
            self._renew_token(session)

    async def _revive(self, ended: Iterable[HeldSession]) -> None:
        """One that ends at this moment may be revived with them: then it is lost, and ended the next time."""
        here = {session.id for session in self._sessions}
        if alive := [each.session_id for each in ended if each.session_id in here]:
            await self._database.run(lambda rows: revive_sessions(rows, self._link_id, alive))

    async def _end_lost(self, connected: Iterable[HeldSession]) -> None:
        """End those that have no connection: another boot of their process would be refused for as long as they count."""
        here = {session.id for session in self._sessions}
        if lost := [
            Departure(each.process_id, each.session_id) for each in connected if each.session_id not in here
        ]:
            await self._database.run(lambda rows: end_sessions(rows, lost))

    async def _end_deleted(self) -> None:
        mine = [charger_id for session in self._sessions for charger_id in session.chargers]
        deleted = await self._database.run(lambda rows: deleted_chargers(rows, mine))
        for session in self._sessions if deleted else ():
            for charger_id in deleted & session.chargers.keys():
                session.remove_charger(charger_id)
            if not session.chargers and not session.is_of_host:
                session.end(CloseCode.NO_SUCH_CHARGER, "its chargers were deleted")

    async def _check_hosts(self) -> None:
        """End the sessions of deleted hosts, and what runs in a host that the rows do not give it."""
        hosts = {session.process_id: session for session in self._sessions if session.is_of_host}
        if not hosts:
            return
        for host_id in await self._database.run(lambda rows: deleted_hosts(rows, hosts)):
            hosts[host_id].end(CloseCode.NO_SUCH_CHARGER, "the host was deleted")
        placed = {host_id: dict(session.placed) for host_id, session in hosts.items()}
        pairs = [(host_id, charger_id) for host_id, chargers in placed.items() for charger_id in chargers]
        for host_id, charger_id in await self._database.run(lambda rows: not_placed(rows, pairs)):
            if hosts[host_id].placed.get(charger_id) == placed[host_id][charger_id]:  # it has not come back
                self._part(hosts[host_id], [charger_id])

    def _renew_token(self, session: Session) -> None:
        if monotonic() - session.token_sent_at > SESSION_TOKEN_TTL_S / 2:
            session.token_sent_at = monotonic()
            session.send(
                {
                    "type": "token",
                    "token": self._tokens.session_token(session.process_id, session.boot_id),
                    "expires_in_s": SESSION_TOKEN_TTL_S,
                }
            )


def count_finished(finished: list[Finished]) -> None:
    """Add actions that became final to the metrics."""
    for action in finished:
        metrics.FINISHED.labels(action.status).inc()
        metrics.FINISHED_AFTER.observe(action.took_s)
