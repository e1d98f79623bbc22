"""What a process of the link is made of."""

import asyncio
from collections.abc import Coroutine, Sized
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError

from link import metrics
from link.database import Database
from link.rows.actions import ActionResult, write_results
from link.rows.hosts import Observation, SaidOfHost, write_host_reports, write_observations
from link.rows.reports import Report, SavedMemory, write_memories, write_reports
from link.rows.sessions import Departure, end_all_sessions, end_sessions
from link.session import Session
from link.sessions import Sessions
from link.wire.closing import CloseCode
from link.wire.frames import HelloCharger, HostReport, Item, Memory, Observed, Result, State
from link.work.batch import Batch
from link.work.delivery import Delivery
from link.work.desired import DesiredStates
from link.work.hellos import Hellos
from link.work.hints import listen_for_hints
from link.work.loop import Loop, end_tasks
from link.work.memories import seal_memory
from link.work.specifications import Specifications
from link.work.upkeep import Upkeep, count_finished
from shared.auth.control_tokens import ControlTokens
from shared.error_codes import ActionCode
from shared.sealing import Sealer
from shared.settings import Settings

log = structlog.get_logger(__name__)

RESULTS_PAUSE_S = 0.02
OBSERVATIONS_PAUSE_S = 0.02
REPORTS_PAUSE_S = 0.2
MEMORIES_PAUSE_S = 1.0
DEPARTURES_PAUSE_S = 0.02
CLOSED_WITHIN_S, FLUSHED_WITHIN_S = 1.0, 2.0  # when the process ends

#: By the status that the charger answered.
CODES = {"rejected": ActionCode.REJECTED, "failed": ActionCode.FAILED}


class Link:
    """One per process. Its methods are called from the event loop only."""

    def __init__(self, settings: Settings) -> None:
        self.id = uuid4().hex
        self.url = settings.control.url
        self.max_sessions = settings.control.max_sessions
        self.tokens = ControlTokens(settings.control.secrets)
        self.sessions = Sessions()
        self.connections = 0  #: open ones, with those that have not said hello yet
        self._redis_url = settings.redis_url
        self._database = Database(settings.database_url)
        self._sealer = Sealer(settings.encryption_keys)
        self.hellos = Hellos(self._database, self.id, self._sealer)
        self.results = Batch[tuple[str, int], ActionResult](
            "results", self._write_results, pause_s=RESULTS_PAUSE_S, merge=final_or_newer
        )
        self.reports = Batch[str, Report](
            "reports", self._write_reports, pause_s=REPORTS_PAUSE_S, merge=Report.followed_by
        )
        self.memories = Batch[str, SavedMemory]("memories", self._write_memories, pause_s=MEMORIES_PAUSE_S)
        self.observations = Batch[str, Observation](
            "observations",
            self._write_observations,
            pause_s=OBSERVATIONS_PAUSE_S,
            merge=Observation.followed_by,
        )
        self.host_reports = Batch[str, SaidOfHost](
            "host reports", self._write_host_reports, pause_s=REPORTS_PAUSE_S
        )
        self.departures = Batch[str, Departure]("departures", self._end_sessions, pause_s=DEPARTURES_PAUSE_S)
        self.delivery = Delivery(self._database, self._sealer, self.id, self.sessions, self.conclude)
        self.desired = DesiredStates(self._database, self._sealer, self._observe)
        self._specifications = Specifications(self._database, self._sealer, self.sessions)
        self._upkeep = Upkeep(
            self._database,
            self.id,
            self.sessions,
            self.tokens,
            write_results=self.results.flush,
            part=self.desired.part,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work. Waits for the database: without it no process can say hello."""
        await self._write_first_heartbeat()
        loops = [
            self.delivery.loop,
            self.desired.loop,
            self._specifications.loop,
            *self._upkeep.loops,
            *(batch.loop for batch in self._batches()),
        ]
        work: list[Coroutine[Any, Any, None]] = [loop.run() for loop in loops]
        if self._redis_url:
            work.append(listen_for_hints(self._redis_url, self._wake))
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """Close all sessions, write what waits, and say that this process has ended. Also ends a start that waits."""
        ends = [session.end(CloseCode.RESTARTING, "the link restarts") for session in self.sessions]
        if ends:
            await asyncio.wait(ends, timeout=CLOSED_WITHIN_S)
        await end_tasks(self._tasks)
        try:
            async with asyncio.timeout(FLUSHED_WITHIN_S):
                for batch in (self.results, self.memories, self.observations, self.reports):
                    await batch.flush()
                await self._database.run(lambda rows: end_all_sessions(rows, self.id))
        except (SQLAlchemyError, TimeoutError) as error:
            log.warning("link.not_flushed", results=len(self.results), error=type(error).__name__)
        self._database.close()

    def take(self, session: Session, item: Item, size: int) -> None:
        """Have what a process has sent written. `size` is its share of the frame, in bytes."""
        match item:
            case Observed():
                self._take_observed(session, item)
            case _ if item.charger_id not in session.chargers:
                pass  # it was deleted, or a host has ended it
            case Result(charger_id, action_id, status, reason, result):
                self.delivery.confirm(charger_id, action_id)
                code = CODES.get(status)
                written = ActionResult(action_id, charger_id, status, reason, code, result)
                self.results.put((charger_id, action_id), written, size)
            case State(charger_id, values, revision, error):
                self.reports.put(charger_id, Report(charger_id, session.id, values, revision, error), size)
            case Memory(charger_id, memory):
                boot_id = session.chargers[charger_id].boot_id
                sealed = seal_memory(memory, self._sealer)
                saved = SavedMemory(charger_id, session.process_id, session.id, boot_id, sealed)
                self.memories.put(charger_id, saved, size)

    def take_host_report(self, session: Session, report: HostReport) -> None:
        """Have what a host has said of itself written."""
        said = SaidOfHost(host_id=session.process_id, session_id=session.id, **asdict(report))
        self.host_reports.put(session.process_id, said)

    async def room(self) -> None:
        """Return when the database has taken enough of what sessions have sent."""
        for batch in (self.results, self.reports, self.memories, self.observations):
            await batch.room()

    def conclude(self, result: ActionResult) -> None:
        """Have an action ended that no charger answers."""
        self.results.put((result.charger_id, result.id), result)

    def enter(self, session: Session) -> None:
        """The session is registered: its chargers get their actions."""
        self.sessions.add(session)
        self.delivery.resume(session.chargers)
        if session.is_of_host:
            self.desired.greet(session)

    def leave(self, session: Session) -> None:
        """The session has ended, or was never registered. Safe to repeat.

        Hellos that the database did not take leave nothing behind, however many come while it is away.
        """
        self.sessions.remove(session)
        self.delivery.end(session)
        self.desired.end(session)
        if session.has_row:
            self.departures.put(session.id, Departure(session.process_id, session.id))

    def measure(self) -> None:
        """Set the metrics that are read when they are needed."""
        kinds: dict[str, Sized] = {
            "hellos": self.hellos.batch,
            "results": self.results,
            "states": self.reports,
            "memories": self.memories,
            "observations": self.observations,
        }
        self.sessions.measure()
        for kind, batch in kinds.items():
            metrics.WAITING.labels(kind).set(len(batch))

    def _wake(self) -> None:
        """There is something to send."""
        self.delivery.loop.wake()
        self.desired.loop.wake()
        self._specifications.loop.wake()

    def _take_observed(self, session: Session, said: Observed) -> None:
        """What a charger that has started sends next is taken at once. Its row is written before what it reports."""
        if said.generation > session.placed[said.charger_id]:
            return  # nobody has decided that
        known = session.chargers.get(said.charger_id)
        if not said.running or said.boot_id is None:
            session.remove_charger(said.charger_id)
        elif known is None or known.boot_id != said.boot_id:
            revision = session.revisions.get(said.charger_id)
            session.add_charger(HelloCharger(said.charger_id, said.boot_id, revision, has_memory=True))
        self._observe(
            Observation(
                host_id=session.process_id,
                session_id=session.id,
                host_boot_id=session.boot_id,
                **asdict(said),
            )
        )

    def _observe(self, observation: Observation) -> None:
        self.observations.put(observation.charger_id, observation)

    def _batches(self) -> list[Any]:
        return [
            self.hellos.batch,
            self.results,
            self.observations,
            self.reports,
            self.memories,
            self.host_reports,
            self.departures,
        ]

    async def _write_first_heartbeat(self) -> None:
        """Return when the database has taken the first heartbeat: sessions of a link without one count as ended."""
        done = asyncio.Event()

        async def write() -> None:
            await self._upkeep.write_heartbeat()
            done.set()

        self._tasks = [asyncio.create_task(Loop("first heartbeat", write, every_s=0).run())]
        await done.wait()
        await end_tasks(self._tasks)

    async def _write_results(self, results: list[ActionResult]) -> None:
        count_finished(await self._database.run(lambda rows: write_results(rows, results)))
        self.delivery.written(result.id for result in results)

    async def _write_observations(self, observations: list[Observation]) -> None:
        """The memories come first: a charger that a host has ended may start on another one from then on."""
        await self.memories.flush()
        await self._database.run(lambda rows: write_observations(rows, observations))
        self.desired.written(observations)

    async def _write_host_reports(self, reports: list[SaidOfHost]) -> None:
        await self._database.run(lambda rows: write_host_reports(rows, reports))

    async def _write_reports(self, reports: list[Report]) -> None:
        """A start of a charger is written before what it has reported since."""
        await self.observations.flush()
        await self._database.run(lambda rows: write_reports(rows, reports))

    async def _write_memories(self, memories: list[SavedMemory]) -> None:
        await self._database.run(lambda rows: write_memories(rows, memories))

    async def _end_sessions(self, departures: list[Departure]) -> None:
        """The memories come first: the next boot of a process, which may connect from then on, gets the last one."""
        await self.observations.flush()
        await self.memories.flush()
        await self._database.run(lambda rows: end_sessions(rows, departures))


def final_or_newer(old: ActionResult, new: ActionResult) -> ActionResult:
    """A charger that repeats itself after a reconnect says `received` again: the result that it has sent stays."""
    return old if old.is_final else new
