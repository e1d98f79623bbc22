"""Tables and budgets, on the terminal and in docs/benchmarks.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"

NOISE = 0.1  # share of a recorded figure by which a new one may be worse without a warning


@dataclass(frozen=True, slots=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        rule = ["---" if number == 0 else "---:" for number in range(len(self.head))]
        return "\n".join("| " + " | ".join(row) + " |" for row in (self.head, rule, *self.rows))


@dataclass(frozen=True, slots=True)
class Budget:
    """A figure that must hold, and why. Exactly one of the bounds is given."""

    name: str
    value: float
    reason: str
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
    def row(self) -> tuple[str, str, str, str, str]:
        bound = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return (self.name, f"{self.value:.3g}", bound, "yes" if self.met else "**no**", self.reason)


@dataclass(frozen=True, slots=True)
class Report:
    """What one part measured."""

    tables: Sequence[Table]
    budgets: Sequence[Budget] = field(default_factory=tuple)
    summary: str = ""  #: the part's sentences at the top of the page; empty if it has none there

    def markdown(self) -> str:
        tables = [table.markdown() for table in self.tables]
        if self.budgets:
            head = ("budget", "measured", "bound", "met", "reason for the bound")
            rule = ("---", "---:", "---:", "---:", "---")
            lines = (head, rule, *(one.row for one in self.budgets))
            tables.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
        return "\n\n".join(tables)


def record(part: str, report: Report, machine: str, document: Path = DOCUMENT) -> None:
    """Replace what is between the part's markers in the document, and its summary. Raises ValueError without markers."""
    text = document.read_text(encoding="utf-8")
    text = _fill(text, part, f"\n{machine}\n\n{report.markdown()}\n")
    if report.summary:
        text = _fill(text, f"summary of {part}", report.summary)
    document.write_text(text, encoding="utf-8")


def _fill(text: str, marker: str, content: str) -> str:
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    marked = re.compile(f"{begin}.*?{end}", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"the page has no place for {marker}")
    return marked.sub(lambda _: f"{begin}{content}{end}", text)


def worse_than_recorded(part: str, report: Report, document: Path = DOCUMENT) -> list[str]:
    """The budgets whose figure on the page is better by more than NOISE, as text."""
    text = document.read_text(encoding="utf-8")
    section = text.partition(f"<!-- {part} -->")[2].partition(f"<!-- /{part} -->")[0]
    recorded = dict(re.findall(r"^\| (.+?) \| ([0-9.e+]+) \| [≥≤]", section, re.MULTILINE))
    return [
        f"{budget.name}: {budget.value:.3g}, recorded {recorded[budget.name]}"
        for budget in report.budgets
        if budget.name in recorded and budget.worse_than(float(recorded[budget.name]))
    ]
