"""The statements that a test executes, and plans that PostgreSQL may choose, whatever its statistics say now."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Engine, event

#: Leaves a nested loop, which executes its inner side again for each row of the outer one.
ONLY_NESTED_LOOPS = "; ".join(
    f"SET LOCAL enable_{step} = off"
    for step in ("hashjoin", "mergejoin", "hashagg", "material", "memoize", "sort")
)


@contextmanager
def only_nested_loops(engine: Engine) -> Iterator[None]:
    """Joins of all transactions that begin in the block are nested loops."""

    def forbid_others(connection: Any) -> None:
        connection.exec_driver_sql(ONLY_NESTED_LOOPS)

    event.listen(engine, "begin", forbid_others)
    try:
        yield
    finally:
        event.remove(engine, "begin", forbid_others)


@contextmanager
def executed(*engines: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements of the block, with their parameters, but for settings of the session."""
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if not statement.startswith("SET "):
            found.append((statement, parameters))

    with ExitStack() as stack:
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
            stack.callback(event.remove, engine, "before_cursor_execute", note)
        yield found
