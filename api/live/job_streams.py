"""Streams how far jobs are to clients, with one query for all streams."""

from collections import defaultdict
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from api.limits.slots import Slots
from api.live.open_streams import OpenStreams
from api.live.streams import LIFE_S, SILENCE_S
from shared.fleet.jobs.read import ShownJob, read_jobs

POLL_S = 0.5
#: What a client sees of a job follows from these columns.
_SEEN = ("status", "changed_by", "waiting", "requested", "pace", "waits_for", "finished_at")


class JobStream:
    """One job, for one client."""

    def __init__(self, organization_id: str, job_id: int) -> None:
        self.organization_id = organization_id
        self.job_id = job_id
        self._pushed: tuple[Any, ...] = ()
        self._pending: SimpleQueue[ShownJob | None] = SimpleQueue()

    def push(self, found: ShownJob) -> None:
        """Hand the job to the client's thread if it has changed. A client that does not read gets the newest state later."""
        seen = tuple(getattr(found.job, name) for name in _SEEN)
        if seen != self._pushed and self._pending.empty():
            self._pushed = seen
            self._pending.put(found)

    def end(self) -> None:
        """End the client's iteration after what was pushed."""
        self._pending.put(None)

    def __iter__(self) -> Iterator[ShownJob | None]:
        """The job after each change; None after SILENCE_S. Ends after LIFE_S, and when the job is final or removed."""
        until = monotonic() + LIFE_S
        while (left_s := until - monotonic()) > 0:
            try:
                found = self._pending.get(timeout=min(SILENCE_S, left_s))
            except Empty:
                yield None
                continue
            if found is None:
                return
            yield found
            if found.job.finished_at is not None:
                return


class JobStreams(OpenStreams[JobStream]):
    """Polls for jobs."""

    def __init__(self, autocommit: sessionmaker[Session], slots: Slots) -> None:
        super().__init__(autocommit, slots, poller="job-streams", every_s=POLL_S)

    def open(self, organization_id: str, job_id: int) -> JobStream:
        """A stream of the job, which the caller closes. Raises Full, FullForOrganization."""
        self._take_slot(organization_id)
        return self._add(JobStream(organization_id, job_id))

    def _poll(self) -> None:
        streams: defaultdict[int, list[JobStream]] = defaultdict(list)
        for stream in list(self._streams):
            streams[stream.job_id].append(stream)
        if not streams:
            return
        with self._autocommit() as session:
            found = {shown.job.id: shown for shown in read_jobs(session, streams)}
        for job_id, readers in streams.items():
            for stream in readers:
                if job_id in found:
                    stream.push(found[job_id])
                else:
                    stream.end()
