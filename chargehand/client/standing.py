"""How far a fleet is: how many of its chargers the CSMS has accepted, and why not the others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from chargehand.client.failures import Failure, TimeIsUp
from chargehand.client.http import Client, Row, segment
from chargehand.client.jobs import get_job
from chargehand.client.waiting import state_of

POLL_S = 1.0
MAX_SHOWN = 20  # chargers in a message


@dataclass(frozen=True)
class Standing:
    """How far a fleet is."""

    total: int
    accepted: int  #: by the CSMS
    failed: int  #: whose creation failed

    def needed(self, share: float) -> int:
        """How many chargers that share is."""
        return ceil(round(share * self.total, 9))

    def has(self, share: float) -> bool:
        """Whether that share is accepted. No share of no chargers is."""
        return self.total > 0 and self.accepted >= self.needed(share)

    def can_reach(self, share: float) -> bool:
        return self.total > 0 and self.total - self.failed >= self.needed(share)

    def sentence(self) -> str:
        """`48 of 50 accepted, 1 failed`."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.accepted} of {self.total} accepted{failed}"


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
    """How far the fleet is when that share is accepted, can no longer be, or the time is up. Raises Failure.

    With the job that creates the chargers, those that do not exist yet count too.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        standing = standing_of(client, location_id, job_id)
        changed(standing)
        left_s = deadline - time.monotonic()
        if standing.has(share) or not standing.can_reach(share) or left_s <= 0:
            return standing
        time.sleep(min(POLL_S, left_s))


def standing_of(client: Client, location_id: str, job_id: str | None = None) -> Standing:
    """How far the fleet is now. Raises Failure."""
    numbers = client.get("/ocpp/chargers/summary", location_id=location_id)
    total, failed = numbers["total"], numbers["status"]["FAILED"]
    if job_id is not None:
        job = get_job(client, job_id)
        total = max(job["total"], total)
        failed = max(failed, job["counts"]["failed"] + job["counts"]["cancelled"])
    return Standing(total, numbers["ocpp_state"]["accepted"], failed)


def not_accepted(client: Client, location_id: str, job_id: str | None = None) -> list[Row]:
    """The chargers that the CSMS has not accepted, with `identity`, `state` and `reason`, at most MAX_SHOWN. Raises Failure."""
    rows = [
        {"charger_id": row["id"], "identity": row["identity"], "state": state, "reason": reason}
        for row in client.chargers(location_id=location_id)
        for state, reason in [state_of(row)]
        if state != "accepted"
    ]
    known = {row["identity"] for row in rows}
    if job_id is not None:
        path = f"/ocpp/jobs/{segment(job_id)}/items"
        rows += [
            {
                "charger_id": item["charger_id"],
                "identity": item["identity"],
                "state": item["result"],
                "reason": item["reason"],
            }
            for item in client.rows(path, result="failed,cancelled,waiting")
            if item["identity"] not in known
        ]
    return rows


def raise_for_standing(standing: Standing, others: Sequence[Row], share: float, timeout_s: float) -> None:
    """Raise TimeIsUp, or Failure if the share can no longer be reached, with a line for the first chargers that miss."""
    if standing.has(share):
        return
    late = standing.can_reach(share)
    wanted = "" if share == 1 else f", {standing.needed(share)} are needed"
    lines = [standing.sentence() + (f" after {timeout_s:g} s" if late else "") + wanted]
    lines += [line_of(row) for row in others[:MAX_SHOWN]]
    if len(others) > MAX_SHOWN:
        lines.append(f"and {len(others) - MAX_SHOWN} more")
    raise (TimeIsUp if late else Failure)("\n".join(lines))


def line_of(row: Row) -> str:
    """`CI-07: disconnected, nothing listens on 127.0.0.1:9`."""
    return f"{row['identity']}: {', '.join(filter(None, (row['state'], row['reason'])))}"
