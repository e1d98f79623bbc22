"""What a request needs from its app."""

from dataclasses import dataclass

from flask import current_app

from api.limits.open_commands import OpenQuota
from api.limits.pools import Pools
from api.limits.rate_limit import RateLimit
from api.limits.reads import Reading
from api.live.batcher import Batcher
from api.live.metrics import Figures
from api.live.publisher import Publisher
from api.live.readiness import Readiness
from api.live.streams import Streams
from api.live.watcher import Watcher
from shared.auth.tokens import TokenVerifier
from shared.database.engine import Sessions
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once by create_app."""

    settings: Settings
    pools: Pools
    sessions: Sessions  #: a transaction each, for what stores something
    reads: Reading  #: sessions for reading; each statement is its own transaction
    batcher: Batcher  #: for starts, stops and restarts
    publisher: Publisher
    watcher: Watcher
    streams: Streams
    verifier: TokenVerifier
    rate_limit: RateLimit | None  #: none is embedded, or without a Redis
    readiness: Readiness
    figures: tuple[Figures, ...]  #: of the database, for /metrics
    open_quota: OpenQuota


def resources() -> Resources:
    """The current app's."""
    found: Resources = current_app.extensions["chargehand"]
    return found
