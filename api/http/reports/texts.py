"""A report as CSV, a row per charger, and as JUnit's XML, a test case per charger."""

import csv
import re
from io import StringIO
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from api.http.fields.fields import instant_text
from api.http.reports.answers import ChargerInReport, outcomes, shown_charger, title
from shared.fleet.reports import Outcome, Report, ReportedCharger

#: A spreadsheet takes a cell that begins so for a formula, and the CSMS chooses some of the texts.
FORMULA = re.compile(r"[=+\-@\t\r]")
#: What XML 1.0 cannot hold, in no spelling.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_csv(report: Report) -> str:
    """A header and a row per charger, as RFC 4180 has them."""
    text = StringIO()
    rows = csv.DictWriter(text, fieldnames=list(ChargerInReport().fields))
    rows.writeheader()
    for charger in report.chargers:
        rows.writerow({name: _cell(value) for name, value in shown_charger(report, charger).items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A text that is no formula: an apostrophe goes before one that begins as a formula does."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def as_junit(report: Report) -> str:
    """A suite with a test case per charger: failed ones are failures, open ones are errors."""
    counts = outcomes(report)
    seconds = sum(charger.seconds or 0 for charger in report.chargers)
    attributes = (
        f"tests={quoteattr(str(len(report.chargers)))} failures={quoteattr(str(counts['failed']))} "
        f"errors={quoteattr(str(counts['open']))} skipped={quoteattr(str(counts['skipped']))} time={quoteattr(f'{seconds:.3f}')}"
    )
    name = _attribute(title(report))
    at = quoteattr(instant_text(report.start))
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites name={name} {attributes}>",
        f"<testsuite name={name} timestamp={at} {attributes}>",
        *(_case(charger, name) for charger in report.chargers),
        "</testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


_ELEMENTS = {Outcome.FAILED: "failure", Outcome.OPEN: "error"}


def _case(charger: ReportedCharger, suite: str) -> str:
    begin = (
        f'<testcase classname={suite} name={_attribute(charger.identity)} time="{charger.seconds or 0:.3f}"'
    )
    if charger.outcome is Outcome.PASSED:
        return f"{begin}/>"
    reason = charger.reason or ""
    if charger.outcome is Outcome.SKIPPED:
        return f"{begin}><skipped message={_attribute(reason)}/></testcase>"
    element = _ELEMENTS[charger.outcome]
    kind = _attribute(charger.reason_code or "")
    text = escape(_storable(f"{charger.identity} ({charger.charger_id}): {reason}"))
    return f"{begin}><{element} type={kind} message={_attribute(reason)}>{text}</{element}></testcase>"


def _attribute(text: str) -> str:
    return quoteattr(_storable(text))


def _storable(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)
