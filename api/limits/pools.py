"""Makes the database connection pools of an API process: separate ones, so that a full one leaves the others free."""

from dataclasses import dataclass

from sqlalchemy import Engine

from shared.database.engine import make_engine

#: Connections besides those of requests: one for batches of starts and stops, three for the pollers behind waits
#: and event streams, two for /ready, which compares them.
OWN_CONNECTIONS = 6


@dataclass(frozen=True, slots=True)
class Pools:
    """Engines that commit every statement. They connect when first used."""

    reading_size: int  #: connections of `reading`
    reading: Engine  #: lists, logs, single rows, metrics
    accepting: Engine  #: requests that store something
    batching: Engine  #: the one statement that stores many starts and stops
    polling: Engine
    probing: Engine

    def dispose(self) -> None:
        """Close all connections. Safe to repeat."""
        for engine in (self.reading, self.accepting, self.batching, self.polling, self.probing):
            engine.dispose()


def make_pools(database_url: str, *, size: int) -> Pools:
    """Share `size` connections between reading and accepting, at least one each, and add OWN_CONNECTIONS."""
    accepting = max(1, size // 2)
    reading = max(1, size - accepting)
    return Pools(
        reading_size=reading,
        reading=make_engine(database_url, pool_size=reading),
        accepting=make_engine(database_url, pool_size=accepting),
        batching=make_engine(database_url, pool_size=1),
        polling=make_engine(database_url, pool_size=3),
        probing=make_engine(database_url, pool_size=2),
    )
