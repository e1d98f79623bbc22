"""Copy the log group of the fleet into charger_logs, charger_log_lines and charger_links.

A fast pass reads from a little before the end of the last one, because events arrive late, to the newest event. A page
and the position after it are written in one transaction, and each event has a key, so a crash between two pages loses
and duplicates nothing. A long pass is continued by the next runs.

CloudWatch may get events hours late, behind the position. So a slow pass reads the last hours again, and copies the
events that CloudWatch has ingested since the slow pass before it.
"""

from dataclasses import replace

from shared.database.engine import Sessions
from shared.settings import Timing
from worker.logs.apply_links import apply_links
from worker.logs.client import InvalidPageToken, LogsClient, Page
from worker.logs.cursor import current_late_pass, current_pass, write_cursor, write_position
from worker.logs.numbers import report_gaps
from worker.logs.page import write_page

PAGES_PER_READ = 20  # then the next run continues, so that one run does not occupy a thread for long
LATE_PAGES_PER_READ = 2  # of the slow pass: far below CloudWatch's quota of 5 calls per second


def read_logs(sessions: Sessions, logs: LogsClient, timing: Timing) -> int:
    """Copy new events, up to PAGES_PER_READ pages. Returns how many frames were new.

    Safe to repeat, also concurrently. Raises one of LOG_ERRORS.
    """
    overlap_ms = round(timing.log_overlap_s * 1000)
    with sessions.begin() as session:
        current = current_pass(session, logs.group, overlap_ms)
    apply_links(sessions, timing.settle_s)  # that a worker wrote and did not apply before it ended
    report_gaps(sessions, timing.log_overlap_s)
    frames = 0
    try:
        for number, page in enumerate(logs.pages(current.since_ms, current.next_token), start=1):
            current = current.after(page)
            with sessions.begin() as session:
                frames += write_page(session, page, logs.max_bytes_per_day)
                write_position(session, logs.group, current)
            apply_links(sessions, timing.settle_s)
            if number == PAGES_PER_READ:
                break
    except InvalidPageToken:
        with sessions.begin() as session:  # the next pass begins where this one ended
            write_position(session, logs.group, replace(current, next_token=None), given_up=True)
    return frames


def read_late_logs(sessions: Sessions, logs: LogsClient, timing: Timing) -> int:
    """Continue the slow pass, or begin one if it is due: up to LATE_PAGES_PER_READ pages. Returns how many frames were new.

    Safe to repeat, also concurrently. Raises one of LOG_ERRORS.
    """
    if timing.late_logs_every_s <= 0:
        return 0
    name = f"{logs.group}:late"  # no log group has a colon in its name
    with sessions.begin() as session:
        begun = current_late_pass(session, name, timing)
    if begun is None:
        return 0
    current, ingested_since_ms = begun
    frames = 0
    try:
        for number, page in enumerate(logs.pages(current.since_ms, current.next_token), start=1):
            current = replace(current, next_token=page.next_token)
            with sessions.begin() as session:
                late = _ingested_since(page, ingested_since_ms)
                frames += write_page(session, late, logs.max_bytes_per_day)
                write_cursor(session, name, current, current.began_ms)
            apply_links(sessions, timing.settle_s)
            if number == LATE_PAGES_PER_READ:
                break
    except InvalidPageToken:
        with sessions.begin() as session:  # begin again: an empty token keeps the pass unfinished
            write_cursor(session, name, replace(current, next_token=""), current.began_ms)
    return frames


def _ingested_since(page: Page, ms: int) -> Page:
    return replace(page, events=[event for event in page.events if event.get("ingestionTime", ms) >= ms])
