"""Prints JSON for programs, tables and progress for people.

Standard output has only the answer; progress, remarks and errors go to standard error.
"""

import json
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import compress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from chargehand.client.waiting import Changed, Task

STYLES = {
    "accepted": "green",
    "succeeded": "green",
    "done": "green",
    "running": "green",
    "ready": "green",
    "stopped": "dim",
    "deleted": "dim",
    "superseded": "yellow",
    "timed out": "yellow",
    "rejected": "red",
    "disconnected": "red",
    "failed": "red",
    "refused": "red",
}
REFRESH_PER_SECOND = 8
WIDTH_WITHOUT_TERMINAL = 10_000  # characters
WIDE_COLUMNS = frozenset({"ID", "Model"})  # left out on a narrow terminal
WIDE_FROM = 120  # characters
FOLDED_COLUMNS = frozenset(
    {"Model", "Reason", "Name", "Connectors", "Chargers", "Description"}
)  # may take several lines


def print_json(document: Any) -> None:
    """Print one document, indented on a terminal, else on one line."""
    click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def print_json_line(document: Any) -> None:
    """Print one document on one line, for a stream."""
    click.echo(json.dumps(document, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table that fits the terminal, without WIDE_COLUMNS on a narrow one; without a terminal, a line per row."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    shown = [width >= WIDE_FROM or column not in WIDE_COLUMNS for column in columns]
    table = _table(list(compress(columns, shown)))
    for row in rows:
        table.add_row(*(_cell(value) for value in compress(row, shown)))
    Console(markup=False, highlight=False, width=width).print(table)


def note(message: str) -> None:
    """Print a remark on standard error."""
    click.echo(printable(message), err=True)


def printable(text: str) -> str:
    """The text with control characters escaped, because names and reasons come from other people."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


@contextmanager
def progress(tasks: "Sequence[Task]", *, quiet: bool) -> "Iterator[Changed]":
    """Show the tasks' states: a live table on a terminal, else a line per change. Yields the function to call after a change."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live(tasks) as changed:
            yield changed
    else:
        lock = threading.Lock()

        def changed(task: "Task") -> None:
            if task.open or task.outcome == "done":  # failures are printed at the end
                with lock:
                    note(task.what_happened())

        yield changed


def age_of(instant: str | None) -> str | None:
    """How long ago that was, as in `5m`."""
    if instant is None:
        return None
    seconds = max((datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds(), 0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"


@contextmanager
def _live(tasks: "Sequence[Task]") -> "Iterator[Changed]":
    from rich.console import Console
    from rich.live import Live

    def render() -> "Table":
        shown = sorted(tasks, key=lambda task: not task.open)[: max(console.height - 4, 1)]
        table = _table(("Charger", "State", "Reason"))
        for task in shown:
            state = task.state if task.open or task.outcome == "done" else task.outcome
            table.add_row(_cell(task.label), _cell(state or "..."), _cell(task.reason))
        over = sum(not task.open for task in tasks)
        if len(tasks) > 1:
            table.caption = f"{over} of {len(tasks)} done"
        return table

    console = Console(stderr=True, markup=False, highlight=False)
    with Live(console=console, get_renderable=render, refresh_per_second=REFRESH_PER_SECOND, transient=True):
        yield lambda _: None


def _table(columns: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in FOLDED_COLUMNS)
    return table


def _cell(value: object) -> Any:
    from rich.text import Text

    text = "-" if value is None or value == "" else printable(str(value))
    return Text(text, style=STYLES.get(text, ""))


def print_pairs(pairs: "Mapping[str, object]") -> None:
    """Print a line for each name and value."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        text = "-" if value is None or value == "" else printable(str(value))
        click.echo(f"{name:<{width}}  {text}")
