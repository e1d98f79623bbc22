"""A report as CSV, as JUnit's XML and as a page, with texts that a CSMS chose to do harm."""

import csv
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.api.routes.reports.writing import Reported
from tests.support.log_entries import connection, frame

HOSTILE = "<script>alert(1)</script>\"'&]]>\x01=2"


@pytest.fixture
def job_id(reported: Reported) -> str:
    """Of a job with a charger that passed, one that failed, one that was skipped and one that is open."""
    ids = [reported.fleet.create(identity=identity) for identity in ("CP-1", "=HYPERLINK", "CP-3", "CP-4")]
    job_id = reported.job("start", *ids)
    reported.accepted(ids[0], 1.25)
    reported.call(ids[0], 2)
    reported.log(
        ids[0],
        frame(3, "x", '[2,"x","Reset",{}]', action=HOSTILE.replace("\x01", ""), to_csms=False),
        frame(4, "y", '[2,"y","DataTransfer",{}]', action="<b>DataTransfer"),
        frame(4.5, "z", '[4,"y","<b>code","",{}]', action="<b>DataTransfer", to_csms=False),
    )
    reported.log(ids[1], connection(2, "1", "rejected", HOSTILE))
    reported.item(job_id, ids[2], result="skipped", reason="It runs", reason_code="already_running")
    reported.item(job_id, ids[3], result="requested")
    return job_id


def test_the_table_has_a_row_per_charger_and_no_formula(reported: Reported, job_id: str) -> None:
    answer = reported.get(job_id, format="csv")

    rows = list(csv.DictReader(StringIO(answer.text, newline="")))
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f"inline; filename=job-{job_id}.csv"
    assert [(row["identity"], row["outcome"], row["seconds"], row["frames"]) for row in rows] == [
        ("CP-1", "passed", "1.25", "5"),
        ("'=HYPERLINK", "failed", "", "0"),
        ("CP-3", "skipped", "", "0"),
        ("CP-4", "open", "", "0"),
    ]
    assert rows[1]["reason"].endswith(HOSTILE)


def test_the_test_cases_fail_with_their_reason(reported: Reported, job_id: str) -> None:
    answer = reported.get(job_id, format="junit")

    suite = ET.fromstring(answer.text)[0]  # noqa: S314  # our own
    assert answer.mimetype == "application/xml"
    assert (suite.get("name"), suite.get("tests")) == (f"Job {job_id}: start", "4")
    assert [suite.get(name) for name in ("failures", "errors", "skipped", "time")] == ["1", "1", "1", "1.250"]
    passed, failed, skipped, open_ = suite
    assert (passed.get("name"), passed.get("time"), len(passed)) == ("CP-1", "1.250", 0)
    assert failed[0].tag == "failure"
    assert failed[0].get("message", "").endswith(HOSTILE.replace("\x01", "\ufffd")), (
        "XML has no such character"
    )
    assert (skipped[0].tag, skipped[0].get("message")) == ("skipped", "It runs")
    assert (open_[0].tag, open_[0].get("type")) == ("error", "requested")


class Page(HTMLParser):
    """The elements of a page, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rawdata = html
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_no_code_and_needs_nothing_else(reported: Reported, job_id: str) -> None:
    answer = reported.get(job_id, format="html")

    page = Page(answer.text)
    tags = {tag for tag, _ in page.elements}
    assert answer.content_type == "text/html; charset=utf-8"
    assert not tags & {"script", "b", "a", "img", "link", "iframe", "object", "form"}
    assert not {name for _, attributes in page.elements for name in attributes} & {"src", "href", "style"}
    assert "<script>alert(1)</script>" in page.text, "shown as text"
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{allowed}'; ")
    assert "@media print" in style
    kept = next(attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes)
    assert kept == policy.removesuffix("; frame-ancestors 'none'"), "a saved page keeps it"


def test_the_page_draws_the_times_and_the_latencies(reported: Reported, job_id: str) -> None:
    page = Page(reported.get(job_id, format="html").text)

    times, latencies = (attributes["aria-label"] or "" for tag, attributes in page.elements if tag == "svg")
    assert times.startswith("Distribution of 1 values: from the request until the CSMS accepted the charger")
    assert "for 2 actions" in latencies
    for text in ("p50 1.25 s", "CP-1", "4 chargers: 1 passed, 1 failed, 1 skipped, 1 open.", "<b>code"):
        assert text in page.text


def test_a_page_of_nothing_measured_says_so(reported: Reported) -> None:
    job_id = reported.job("start", reported.fleet.create())

    page = Page(reported.get(job_id, format="html").text)

    assert "Nothing was measured." in page.text
    assert "No calls are stored for this time." in page.text


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("application/xml", "application/xml"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("image/png", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_format_unless_the_query_does(
    reported: Reported, accept: str, mimetype: str
) -> None:
    job_id = reported.job("start", reported.fleet.create())
    path, headers = f"/ocpp/jobs/{job_id}/report", {"Accept": accept}

    assert reported.fleet.get(path, headers=headers).mimetype == mimetype
    assert reported.fleet.get(f"{path}?format=CSV", headers=headers).mimetype == "text/csv"


def test_what_is_long_is_compressed(reported: Reported) -> None:
    ids = [reported.fleet.create(identity=f"CP-{number}") for number in range(9)]
    path = f"/ocpp/jobs/{reported.job('start', *ids)}/report"
    headers = {"Accept-Encoding": "gzip"}

    answers = [
        reported.fleet.get(f"{path}?format={form}", headers=headers) for form in ("csv", "junit", "html")
    ]

    assert {answer.content_encoding for answer in answers} == {"gzip"}
