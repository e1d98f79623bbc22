"""The dependencies of a request, made once per process."""

from dataclasses import dataclass

from flask import current_app

from api.limits.open_rows import OpenQuota
from api.limits.pools import Pools
from api.limits.rate_limit import RateLimit
from api.limits.reads import ReadSessions
from api.limits.slots import Slots
from api.live.batcher import Batcher
from api.live.feed import Feed, Renderer
from api.live.hints import Hints
from api.live.job_streams import JobStreams
from api.live.metrics import DatabaseMetrics, Measured
from api.live.operations import Operations
from api.live.publisher import Publisher
from api.live.readiness import Readiness
from api.live.streams import Streams
from api.live.watcher import Watcher
from shared.auth.tokens import TokenVerifier
from shared.database.engine import Sessions
from shared.sealing import Sealer
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Made by create_app, and used until the process ends."""

    settings: Settings
    pools: Pools
    sessions: Sessions  #: a transaction each, for requests that store something
    reads: ReadSessions  #: for requests that only read
    report_reads: ReadSessions  #: for reports, which read much: one at a time of each organization
    batcher: Batcher  #: for starts, stops and restarts
    publisher: Publisher
    hints: Hints  #: for the link, after a commit of what it sends to chargers
    watcher: Watcher
    streams: Streams  #: of single chargers
    job_streams: JobStreams
    feed: Feed  #: of organizations
    renderer: Renderer
    stream_slots: Slots  #: of the event streams, and of other answers that are streamed
    verifier: TokenVerifier
    sealer: Sealer  #: encrypts the secrets of chargers
    rate_limit: RateLimit | None  #: None in embedded mode, or without Redis
    readiness: Readiness
    operations: Operations
    database_metrics: tuple[DatabaseMetrics, ...]
    open_quota: OpenQuota  #: of commands
    action_quota: OpenQuota

    @property
    def gauges(self) -> Measured:
        """What the gauges of this process are read from."""
        return Measured(
            self.publisher, self.watcher, self.streams, self.job_streams, self.feed, self.readiness
        )


def resources() -> Resources:
    """The resources of the current app."""
    found: Resources = current_app.extensions["chargehand"]
    return found
