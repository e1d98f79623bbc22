"""The plots of a report's page, as SVG: a distribution of seconds, and the latency of actions."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any

from shared.fleet.reports import Spread

WIDTH = 720
BARS = 30  # of the distribution
MAX_ACTIONS = 20  # rows of the second plot
ROW = 22  # pixels of each
LEFT = 190  # pixels for the names of actions


def distribution(values: Sequence[float], spread: Spread, *, label: str) -> str:
    """How many values lie in each of BARS equal parts of 0 to the greatest, with lines at the percentiles."""
    top, bottom, left, right = 46, 210, 44, WIDTH - 16
    highest = spread.max or 1.0
    counts = [0] * BARS
    for value in values:
        counts[min(BARS - 1, floor(BARS * value / highest))] += 1
    most = max(counts)
    width = (right - left) / BARS

    def x(value: float) -> float:
        return left + (right - left) * value / highest

    bars = (
        f'<rect class="bar" x="{left + number * width:.1f}" y="{bottom - height:.1f}" width="{width - 1:.1f}" '
        f'height="{height:.1f}"/>'
        for number, count in enumerate(counts)
        if (height := (bottom - top) * count / most)
    )
    marks = (
        f'<line class="mark" x1="{x(value):.1f}" y1="{12 * row + 4}" x2="{x(value):.1f}" y2="{bottom}"/>'
        + _text(
            x(value) + (-4 if value > highest / 2 else 4),
            12 * row + 10,
            f"{name} {value:.2f} s",
            _side(value, highest),
        )
        for row, (name, value) in enumerate((("p50", spread.p50), ("p95", spread.p95), ("p99", spread.p99)))
    )
    ticks = (
        _text(x(highest * part / 4), bottom + 16, f"{highest * part / 4:.3g}", "middle") for part in range(5)
    )
    axes = (
        f'<line class="axis" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>',
        _text(left - 6, top + 4, str(most), "end"),
        _text(left - 6, bottom, "0", "end"),
        _text((left + right) / 2, bottom + 32, f"{label}, in seconds; up: chargers", "middle"),
    )
    words = (
        f"Distribution of {len(values)} values: {label} in seconds, half of them up to {spread.p50:.2f}, "
        f"95 per cent up to {spread.p95:.2f}, 99 per cent up to {spread.p99:.2f}, the greatest {spread.max:.2f}"
    )
    return _svg(bottom + 40, words, (*bars, *marks, *ticks, *axes))


def _side(value: float, highest: float) -> str:
    """Where a mark's text begins, so that it stays within the plot."""
    return "end" if value > highest / 2 else "start"


def latencies(actions: Sequence[Mapping[str, Any]]) -> str:
    """A row per action, on an axis of powers of ten: p50, p95 and p99 of its latency."""
    shown = actions[:MAX_ACTIONS]
    values = [max(0.1, action["latency_ms"][name]) for action in shown for name in ("p50", "p99")]
    low, high = floor(log10(min(values))), max(ceil(log10(max(values))), floor(log10(min(values))) + 1)
    right, bottom = WIDTH - 30, 24 + ROW * len(shown)

    def x(milliseconds: float) -> float:
        return LEFT + (right - LEFT) * (log10(max(0.1, milliseconds)) - low) / (high - low)

    grid = (
        f'<line class="grid" x1="{x(10**power):.1f}" y1="16" x2="{x(10**power):.1f}" y2="{bottom}"/>'
        + _text(x(10**power), bottom + 14, _milliseconds(10**power), "middle")
        for power in range(low, high + 1)
    )
    rows = (
        _row(
            action["action"],
            24 + ROW * number + ROW / 2 - 4,
            *map(x, map(action["latency_ms"].get, ("p50", "p95", "p99"))),
        )
        for number, action in enumerate(shown)
    )
    words = (
        f"p50, p95 and p99 of the CSMS's latency for {len(shown)} actions; the table below has the numbers"
    )
    return _svg(bottom + 22, words, (*grid, *rows))


def _row(name: str, y: float, p50: float, p95: float, p99: float) -> str:
    short = name if len(name) <= 26 else f"{name[:25]}…"
    return (
        _text(LEFT - 10, y + 4, short, "end")
        + f'<line class="range" x1="{p50:.1f}" y1="{y}" x2="{p99:.1f}" y2="{y}"/>'
        + f'<circle class="dot" cx="{p50:.1f}" cy="{y}" r="4"/>'
        + f'<circle class="ring" cx="{p95:.1f}" cy="{y}" r="4"/>'
        + f'<line class="end" x1="{p99:.1f}" y1="{y - 6}" x2="{p99:.1f}" y2="{y + 6}"/>'
    )


def _milliseconds(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, label: str, content: Iterable[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(content)}</svg>'
    )
