"""Tables and budgets, on the terminal and in docs/benchmarks.md."""

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
VERSIONS = ("flask", "gunicorn", "gevent", "sqlalchemy", "psycopg", "celery", "kombu")

NOISE = 0.1  # share of a recorded figure by which a new one may be worse without a word


@dataclass(frozen=True, slots=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        rule = ["---" if number == 0 else "---:" for number in range(len(self.head))]
        return "\n".join("| " + " | ".join(row) + " |" for row in (self.head, rule, *self.rows))


@dataclass(frozen=True, slots=True)
class Budget:
    """A figure that must hold. Exactly one of the bounds is given."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.at_most is not None and self.value <= self.at_most

    def worse_than(self, before: float) -> bool:
        """By more than NOISE."""
        if self.at_least is not None:
            return self.value < before * (1 - NOISE)
        return self.value > before * (1 + NOISE)

    @property
    def row(self) -> tuple[str, str, str, str]:
        bound = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return (self.name, f"{self.value:.3g}", bound, "yes" if self.met else "**no**")


@dataclass(frozen=True, slots=True)
class Report:
    """What one part measured."""

    tables: Sequence[Table]
    budgets: Sequence[Budget] = field(default_factory=tuple)

    def markdown(self) -> str:
        tables = list(self.tables)
        if self.budgets:
            tables.append(Table(("budget", "measured", "bound", "met"), [one.row for one in self.budgets]))
        return "\n\n".join(table.markdown() for table in tables)


def record(part: str, report: Report, document: Path = DOCUMENT) -> None:
    """Put the report between the part's markers in the document. The prose around them stays."""
    text = document.read_text(encoding="utf-8")
    section = f"<!-- {part} -->\n{circumstances()}\n\n{report.markdown()}\n<!-- /{part} -->"
    marked = re.compile(f"<!-- {part} -->.*<!-- /{part} -->", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"{document} has no place for {part}")
    document.write_text(marked.sub(lambda _: section, text), encoding="utf-8")


def worse_than_recorded(part: str, report: Report, document: Path = DOCUMENT) -> list[str]:
    """What the page's last figures were better at, in words. To be explained on the page."""
    text = document.read_text(encoding="utf-8")
    section = text.partition(f"<!-- {part} -->")[2].partition(f"<!-- /{part} -->")[0]
    recorded = dict(re.findall(r"^\| (.+?) \| ([0-9.e+]+) \| [≥≤]", section, re.MULTILINE))
    return [
        f"{budget.name}: {budget.value:.3g}, recorded {recorded[budget.name]}"
        for budget in report.budgets
        if budget.name in recorded and budget.worse_than(float(recorded[budget.name]))
    ]


def circumstances() -> str:
    """When, on what, and how busy it was with other things."""
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    load = psutil.getloadavg()[1]
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"load average of five minutes {load:.1f}; {platform.system()}, "
        f"Python {platform.python_version()}, {versions}."
    )
