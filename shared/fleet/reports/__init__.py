"""Reports: how the chargers of a job or of a location came to their CSMS, and how it answered them."""

from shared.fleet.reports.chargers import MAX_CHARGERS, Outcome, ReportedCharger
from shared.fleet.reports.frames import FrameCounts
from shared.fleet.reports.read import MAX_RANGE, Range, Report, Subject, report_of_job, report_of_location
from shared.fleet.reports.summary import Failure, Spread, failures, slowest, spread

__all__ = [
    "MAX_CHARGERS",
    "MAX_RANGE",
    "Failure",
    "FrameCounts",
    "Outcome",
    "Range",
    "Report",
    "ReportedCharger",
    "Spread",
    "Subject",
    "failures",
    "report_of_job",
    "report_of_location",
    "slowest",
    "spread",
]
