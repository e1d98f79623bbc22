"""Keeps the embedded ECS's records in a SQLite file."""

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

#: (kind, key) -> the record to store (a dataclass or a dict), or None to delete it.
Changes = Mapping[tuple[str, str], object]

_SCHEMA = "CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, body BLOB, PRIMARY KEY (kind, key))"


class Store:
    """Changes are in the file when `save` returns, so an answered call survives `kill -9`.

    A file that cannot be read is renamed, with a warning in the log, and a new one is created.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._connection = _open(path)
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.corrupt-{time.time_ns()}")
            path.rename(aside)
            for leftover in ("-wal", "-shm"):
                path.with_name(path.name + leftover).unlink(missing_ok=True)
            log.warning("The state in %s is unreadable (%s); moved to %s, starting empty", path, error, aside)
            self._connection = _open(path)

    def load(self, kind: str) -> Iterator[dict[str, Any]]:
        """The records of a kind, oldest first."""
        rows = self._connection.execute("SELECT body FROM records WHERE kind = ? ORDER BY rowid", (kind,))
        for (body,) in rows.fetchall():
            yield orjson.loads(body)

    def save(self, changes: Changes) -> None:
        """Store all of the changes, or none. Safe to repeat."""
        with self._connection:
            for (kind, key), record in changes.items():
                if record is None:
                    self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
                else:
                    self._connection.execute(
                        "INSERT INTO records VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                        (kind, key, orjson.dumps(record)),
                    )

    def close(self) -> None:
        """Call it last."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
        for (body,) in connection.execute("SELECT body FROM records"):
            orjson.loads(body)
    except (sqlite3.DatabaseError, orjson.JSONDecodeError) as error:
        connection.close()
        raise sqlite3.DatabaseError(str(error)) from error
    return connection
