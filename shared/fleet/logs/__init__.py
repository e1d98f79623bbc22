"""A charger's log: the OCPP frames that it exchanged with its CSMS, its remarks, and its connection events."""

from shared.fleet.logs.filters import Caller, Direction, LogFilters
from shared.fleet.logs.numbered import LogPage, list_logs
from shared.fleet.logs.pages import Cursor, Entries, list_entries
from shared.fleet.logs.rows import Entry, Position
from shared.fleet.logs.tail import Tail, read_tails

__all__ = [
    "Caller",
    "Cursor",
    "Direction",
    "Entries",
    "Entry",
    "LogFilters",
    "LogPage",
    "Position",
    "Tail",
    "list_entries",
    "list_logs",
    "read_tails",
]
