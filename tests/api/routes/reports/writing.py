"""Writes what workers and the log reader write about the chargers of a job, and reads the job's report."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, update

from shared.models import Command, Job, JobItem
from tests.support.fleet import Fleet
from tests.support.log_entries import NOON, Row, connection, frame, write_entries

RESTART = "reset_charger"


@dataclass
class Reported:
    """Jobs that were accepted at NOON, and their reports."""

    fleet: Fleet

    def job(self, action: str, *charger_ids: str, **item: Any) -> str:
        """A job whose commands were recorded at NOON and succeeded 5 s later. Returns its id."""
        answer = self.fleet.post(f"/ocpp/chargers/{action}", json={"charger_ids": list(charger_ids)})
        job_id: str = answer.json["job_id"]
        values = {"result": "succeeded", "requested_at": NOON, "finished_at": NOON + timedelta(seconds=5)}
        with self.fleet.sessions.begin() as session:
            session.execute(update(Job).where(Job.id == int(job_id)).values(created_at=NOON))
            session.execute(update(JobItem).where(JobItem.job_id == int(job_id)).values(values | item))
        return job_id

    def item(self, job_id: str, charger_id: str, **values: Any) -> None:
        """What became of one charger of the job."""
        with self.fleet.sessions.begin() as session:
            session.execute(
                update(JobItem)
                .where(JobItem.job_id == int(job_id), JobItem.charger_id == charger_id)
                .values(values)
            )

    def command(
        self,
        charger_id: str,
        event_type: str,
        generation: int,
        *,
        at: float,
        applied_at: float | None = None,
        status: str = "succeeded",
    ) -> Any:
        """A command that was recorded so many seconds after NOON. Returns its id."""
        command_id = uuid4()
        with self.fleet.sessions.begin() as session:
            session.execute(
                insert(Command).values(
                    id=command_id,
                    charger_id=charger_id,
                    organization_id="acme",
                    event_type=event_type,
                    generation=generation,
                    status=status,
                    requested_by="ada",
                    created_at=NOON + timedelta(seconds=at),
                    applied_at=None if applied_at is None else NOON + timedelta(seconds=applied_at),
                )
            )
        return command_id

    def log(self, charger_id: str, *rows: Row) -> None:
        write_entries(self.fleet.sessions, charger_id, rows)

    def accepted(self, charger_id: str, second: float, reason: str | None = None) -> None:
        self.log(charger_id, connection(second, f"accepted-{second}", "accepted", reason))

    def call(
        self, charger_id: str, second: float, *, answer: str = "[3,{},{{}}]", after_ms: float = 20
    ) -> None:
        """A Heartbeat, and its answer unless that is empty."""
        id_ = f'"{charger_id[-6:]}-{second}"'
        rows = [frame(second, f"call-{second}", f'[2,{id_},"Heartbeat",{{}}]')]
        if answer:
            rows.append(
                frame(second + after_ms / 1000, f"answer-{second}", answer.format(id_), to_csms=False)
            )
        self.log(charger_id, *rows)

    def get(self, job_id: str, **query: Any) -> Any:
        """The report, which is no error."""
        answer = self.fleet.get(f"/ocpp/jobs/{job_id}/report", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer
