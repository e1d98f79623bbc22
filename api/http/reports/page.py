"""A report as a page: no script, no request to anywhere, and every text of a charger or of its CSMS escaped."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import Any

from api.http.reports.answers import outcomes, title
from api.http.reports.plots import distribution, latencies
from shared.fleet.reports import FrameCounts, Outcome, Report, ReportedCharger, failures, slowest, spread

#: Rows of the table of chargers; the CSV has all.
MAX_ROWS = 1_000

_STYLE = """
body { color: #111; background: #fff; font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
h1 { font-size: 1.5em; overflow-wrap: anywhere; }
h2 { font-size: 1.15em; margin: 1.6em 0 .4em; }
p { margin: .4em 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #bbb; padding: .2em .5em; text-align: left; vertical-align: top; overflow-wrap: break-word; }
table + table, svg + table { margin-top: .8em; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; }
.bar, .dot { fill: #2b5c8a; }
.mark { stroke: #a33; stroke-dasharray: 3 2; }
.axis, .end { stroke: #111; }
.grid { stroke: #ccc; }
.range { stroke: #2b5c8a; stroke-width: 2; }
.ring { fill: #fff; stroke: #2b5c8a; stroke-width: 2; }
.failed { font-weight: bold; }
@media print {
  body { font-size: 10pt; margin: 0; max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  tr, svg { break-inside: avoid; }
  thead { display: table-header-group; }
  .bar, .dot, .ring { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@page { margin: 15mm; }
"""
_CONTENT_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; base-uri 'none'; "
    "form-action 'none'"
)
#: The page's own, which also holds for a copy of it, and that of the answer.
POLICY = f"{_CONTENT_POLICY}; frame-ancestors 'none'"

_NUMBER = ' class="number"'
#: Of the chargers in their table.
_ORDER = [Outcome.FAILED, Outcome.OPEN, Outcome.SKIPPED, Outcome.PASSED]


def as_page(report: Report) -> str:
    """The report as HTML."""
    heading = escape(title(report))
    sections = (
        _summary(report),
        _times(report),
        _failures(report),
        _latencies(report),
        _actions(report),
        _errors(report),
        _chargers(report),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_CONTENT_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{heading}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{heading}</h1>\n"
        f"{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _summary(report: Report) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in outcomes(report).items() if count) or "none"
    location = report.subject.location_id
    site = f"<p>Location {escape(location)}</p>\n" if location else ""
    frames = report.frames
    read = f", as far as the log is read: until {_instant(frames.read_until)}" if frames.read_until else ""
    return (
        f"{site}<p>{len(report.chargers)} chargers: {counts}.</p>\n"
        f"<p>{frames.total:,} frames from {_instant(report.start)} to {_instant(report.end)}{read}. "
        f"Made on {_instant(report.generated_at)}.</p>\n"
        f"{_incomplete(frames)}"
    )


def _incomplete(frames: FrameCounts) -> str:
    if frames.complete:
        return ""
    if frames.cut_by_quota:
        why = f"the quota of stored frames was full. Chargers that miss some: {frames.cut_by_quota:,}"
    else:
        why = f"of each charger the first {frames.max_per_charger:,}. A report of less time counts all"
    return f"<p><strong>Not all frames are counted:</strong> {why}.</p>\n"


def _times(report: Report) -> str:
    words = _until(report)
    found = spread(report.chargers)
    if found is None:
        return _section(_heading(words), "<p>Nothing was measured.</p>\n")
    seconds = [charger.seconds for charger in report.chargers if charger.seconds is not None]
    numbers = _table(
        ["", "chargers", "p50", "p95", "p99", "slowest"],
        [
            [
                "seconds",
                found.count,
                *map(_Number, (found.p50, found.p95, found.p99, found.max)),
            ]
        ],
    )
    last = _table(
        ["slowest chargers", "id", "seconds"],
        [[one.identity, one.charger_id, _Number(one.seconds or 0)] for one in slowest(report.chargers)],
    )
    return _section(_heading(words), distribution(seconds, found, label=words) + numbers + last)


def _heading(words: str) -> str:
    return words[0].upper() + words[1:]


def _until(report: Report) -> str:
    """What the seconds measure."""
    return "from the request until " + (
        "the CSMS accepted the charger" if report.until_accepted else "it was done"
    )


def _failures(report: Report) -> str:
    found = failures(report.chargers)
    if not found:
        return ""
    rows = [
        [one.reason_code, one.reason, one.count, ", ".join(charger.identity for charger in one.first)]
        for one in found
    ]
    return _section("Failures by reason", _table(["code", "reason", "chargers", "first of them"], rows))


def _latencies(report: Report) -> str:
    measured = [
        action for action in report.frames.by_action if action["caller"] == "charger" and action["latency_ms"]
    ]
    if not measured:
        return ""
    legend = "<p>From a charger's call to the answer: a dot is p50, a ring p95, a stroke p99.</p>\n"
    return _section("Latency of the CSMS by action", legend + latencies(measured))


def _actions(report: Report) -> str:
    if not report.frames.by_action:
        return _section("Calls by action", "<p>No calls are stored for this time.</p>\n")
    rows = [
        [
            action["action"],
            action["caller"],
            *(action[name] for name in ("calls", "results", "errors", "unanswered")),
            *((action["latency_ms"] or {}).get(name) for name in ("p50", "p95", "p99", "max")),
        ]
        for action in report.frames.by_action
    ]
    head = [
        "action",
        "called by",
        "calls",
        "results",
        "errors",
        "unanswered",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
    ]
    return _section("Calls by action", _table(head, rows))


def _errors(report: Report) -> str:
    if not report.frames.errors:
        return ""
    rows = [[error["code"], error["action"], error["count"]] for error in report.frames.errors]
    return _section("Errors of the CSMS", _table(["code", "action", "CALLERRORs"], rows))


def _chargers(report: Report) -> str:
    ordered = sorted(report.chargers, key=lambda one: (_ORDER.index(one.outcome), -(one.seconds or 0)))
    more = len(ordered) - MAX_ROWS
    note = f"<p>And {more:,} more: the CSV has all of them.</p>\n" if more > 0 else ""
    rows = [_charger(charger) for charger in ordered[:MAX_ROWS]]
    return _section("Chargers", _table(["identity", "id", "outcome", "seconds", "reason"], rows) + note)


def _charger(charger: ReportedCharger) -> list[Any]:
    seconds = None if charger.seconds is None else _Number(charger.seconds)
    return [charger.identity, charger.charger_id, charger.outcome, seconds, charger.reason]


class _Number(float):
    """Seconds, shown with two decimals."""

    def __str__(self) -> str:
        return f"{float(self):.2f}"


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{heading}</h2>\n{content}</section>\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns of numbers are aligned to the right."""
    shown = list(rows)
    of_numbers = [any(isinstance(row[column], int | float) for row in shown) for column in range(len(head))]
    names = "".join(
        f'<th scope="col"{_NUMBER if is_number else ""}>{escape(name)}</th>'
        for name, is_number in zip(head, of_numbers, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in shown)
    return f"<table>\n<thead><tr>{names}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _cell(value: Any) -> str:
    if isinstance(value, int | float):
        return f"<td{_NUMBER}>{value}</td>" if isinstance(value, _Number) else f"<td{_NUMBER}>{value:,}</td>"
    kind = ' class="failed"' if value is Outcome.FAILED else ""
    return f"<td{kind}>{escape(str(value or ''))}</td>"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
