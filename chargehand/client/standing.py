"""How far a fleet is: how many of its chargers the CSMS has accepted, and why not the others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from uuid import uuid4

from chargehand.client.failures import Failure, TimeIsUp
from chargehand.client.http import Client, Row, segment
from chargehand.client.jobs import get_job
from chargehand.client.locations import location_path

POLL_S = 0.5  # between two questions, also when the API does not hold its answer
HOLD_S = 2  # that the API holds an answer; what is on display is at most this old
#: The codes of chargers of a job that do not exist.
NOT_CREATED = frozenset({"identity_taken", "quota_full", "location_deleted"})
MARGIN_S = 0.5  # for the way of a held answer
MAX_SHOWN = 100  # chargers that are named, as in the API's answer


@dataclass(frozen=True)
class Standing:
    """How far a fleet is."""

    total: int
    accepted: int  #: by the CSMS
    impossible: int  #: those that are stopped, or whose creation failed
    #: Of those that are not accepted, the first that exist: charger_id, identity, state, reason.
    others: Sequence[Row] = ()

    def needed(self, share: float) -> int:
        """How many chargers that share is."""
        return ceil(round(share * self.total, 6))

    def has(self, share: float) -> bool:
        """Whether that share is accepted. No share of no chargers is."""
        return self.total > 0 and self.accepted >= self.needed(share)

    def can_have(self, share: float) -> bool:
        """Whether it may be, if no charger is started or created meanwhile."""
        return self.total > 0 and self.total - self.impossible >= self.needed(share)

    def sentence(self) -> str:
        """`48 of 50 accepted, 1 stopped or failed`."""
        if not self.total:
            return "it has no chargers"
        impossible = f", {self.impossible} stopped or failed" if self.impossible else ""
        return f"{self.accepted} of {self.total} accepted{impossible}"


Changed = Callable[[Standing], None]


def wait_for_fleet(
    client: Client,
    location_id: str,
    *,
    share: float,
    timeout_s: float,
    job_id: str | None = None,
    changed: Changed = lambda _: None,
) -> Standing:
    """How far the fleet is when that share is accepted, when it cannot be, or when the time is up. Raises Failure.

    With the job that creates the chargers, those that it could not create count too.
    """
    client = client.within(timeout_s)
    deadline = time.monotonic() + timeout_s
    standing: Standing | None = None
    hold_s = 0  # the first answer comes at once, so that there is something to show
    while True:
        began = time.monotonic()
        try:
            standing = standing_of(client, location_id, job_id, share=share, hold_s=hold_s)
        except TimeIsUp:  # the API does not answer
            if standing is None:
                raise
            return standing
        changed(standing)
        left_s = deadline - time.monotonic()
        if standing.has(share) or not standing.can_have(share) or left_s <= 0:
            return standing
        hold_s = min(HOLD_S, int(max(left_s - MARGIN_S, 0)))
        time.sleep(min(max(began + POLL_S - time.monotonic(), 0), left_s))


def standing_of(
    client: Client, location_id: str, job_id: str | None = None, *, share: float = 1.0, hold_s: int = 0
) -> Standing:
    """How far the fleet is now, or when that share is accepted, at most hold_s later. Raises Failure."""
    path = f"{location_path(location_id)}/wait"
    if job_id is None:
        answer, missing = client.post(path, uuid4().hex, {"share": share}, wait=hold_s or None)[1], 0
    else:
        before: Row = {}
        job = get_job(client, job_id)
        while _ends(before) != _ends(
            job
        ):  # else a charger that could not be created meanwhile counts twice, or not at all
            answer = client.post(path, uuid4().hex, {"share": share}, wait=hold_s or None)[1]
            before, job, hold_s = job, get_job(client, job_id), 0
        missing = _count_not_created(client, job)
    return Standing(
        answer["total"] + missing,
        answer["accepted"],
        answer["impossible"] + missing,
        [_shown(row) for row in answer["not_accepted"]],
    )


def creating_job(client: Client, location_id: str) -> str | None:
    """The newest job that creates chargers of the location; None if there is none. Raises Failure."""
    rows = client.get("/ocpp/jobs", location_id=location_id, action="create", limit=1)["data"]
    return rows[0]["id"] if rows else None


def _ends(job: Row) -> tuple[int, ...]:
    """What changes when a charger is not created after all."""
    return tuple(job["counts"][result] for result in ("failed", "cancelled", "skipped")) if job else ()


def _count_not_created(client: Client, job: Row) -> int:
    """How many chargers the job will never create. Those whose provisioning failed exist."""
    counts = job["counts"]
    number: int = counts["cancelled"] + counts["skipped"]
    if counts["failed"]:
        path = f"/ocpp/jobs/{segment(job['id'])}/items"
        items = client.rows(path, result="failed")
        number += sum(item["reason_code"] in NOT_CREATED for item in items)
    return number


def not_created(client: Client, job_id: str) -> list[Row]:
    """The chargers that the job could not create, as in Standing.others. Raises Failure."""
    items = client.rows(f"/ocpp/jobs/{segment(job_id)}/items", MAX_SHOWN, result="failed,cancelled,skipped")
    return [
        {
            "charger_id": item["charger_id"],
            "identity": item["identity"],
            "state": item["result"],
            "reason": item["reason"],
        }
        for item in items
    ]


def _shown(row: Row) -> Row:
    state = row["ocpp_state"] if row["observed"] == "running" and row["ocpp_state"] else row["observed"]
    return {
        "charger_id": row["charger_id"],
        "identity": row["identity"],
        "state": state,
        "reason": row["reason"],
    }


def all_others(client: Client, standing: Standing, job_id: str | None) -> list[Row]:
    """The first MAX_SHOWN chargers that are not accepted, with those that the job could not create. Raises Failure."""
    rows = list(standing.others)
    if job_id is not None and len(rows) < min(MAX_SHOWN, standing.total - standing.accepted):
        known = {row["charger_id"] for row in rows}
        rows += [row for row in not_created(client, job_id) if row["charger_id"] not in known]
    return rows[:MAX_SHOWN]


def raise_for_standing(standing: Standing, others: Sequence[Row], share: float, timeout_s: float) -> None:
    """Raise TimeIsUp, or Failure if the share cannot be accepted, with a line for each of the others that are named."""
    if standing.has(share):
        return
    late = standing.can_have(share)
    wanted = "" if share == 1 else f", {standing.needed(share)} are needed"
    lines = [standing.sentence() + (f" after {timeout_s:g} s" if late else "") + wanted]
    lines += [line_of(row) for row in others]
    more = standing.total - standing.accepted - len(others)
    if others and more > 0:
        lines.append(f"and {more} more")
    raise (TimeIsUp if late else Failure)("\n".join(lines))


def line_of(row: Row) -> str:
    """A charger and why it is not accepted, as a line."""
    return f"{row['identity']}: {row['reason'] or row['state']}"
