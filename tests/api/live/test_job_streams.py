"""The stream of a job's progress."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event, update

from api.live import job_streams
from api.resources import Resources
from shared.models import Job
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


@pytest.fixture
def job_id(fleet: Fleet) -> int:
    """A job that stops two chargers, which no worker continues."""
    for number in (1, 2):
        fleet.ready(identity=f"CP-{number}")
    answer = fleet.post("/ocpp/chargers/stop", json={"filters": {}})
    return int(answer.json["job_id"])


def jobs_of(answer: Any) -> Iterator[dict[str, Any]]:
    for chunk in answer.response:
        for line in chunk.decode().splitlines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def write(fleet: Fleet, job_id: int, **values: Any) -> None:
    with fleet.sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def finish(fleet: Fleet, job_id: int) -> None:
    write(
        fleet,
        job_id,
        waiting=0,
        requested=0,
        succeeded=2,
        status="finished",
        finished_at=Job.created_at,
        next_at=None,
    )


def test_each_state_of_a_job_is_streamed_until_it_is_final(fleet: Fleet, job_id: int) -> None:
    with closing(fleet.get(f"/ocpp/jobs/{job_id}/events")) as answer:
        jobs = jobs_of(answer)
        first = next(jobs)
        assert first == fleet.get(f"/ocpp/jobs/{job_id}").json
        write(fleet, job_id, waiting=1, requested=1)
        assert next(jobs)["counts"]["requested"] == 1
        finish(fleet, job_id)
        rest = list(jobs)

    assert [job["status"] for job in rest] == ["finished"]
    assert rest[0]["finished_at"] is not None


def test_a_job_that_is_final_is_shown_once(fleet: Fleet, job_id: int) -> None:
    finish(fleet, job_id)

    with closing(fleet.get(f"/ocpp/jobs/{job_id}/events")) as answer:
        assert [job["status"] for job in jobs_of(answer)] == ["finished"]


def test_the_stream_of_a_job_that_is_removed_ends(fleet: Fleet, job_id: int) -> None:
    with closing(fleet.get(f"/ocpp/jobs/{job_id}/events")) as answer:
        jobs = jobs_of(answer)
        next(jobs)
        with fleet.sessions.begin() as session:
            session.execute(Job.__table__.delete())  # type: ignore[attr-defined]

        assert list(jobs) == []


def test_a_silent_stream_has_comments_and_ends_after_a_while(
    fleet: Fleet, job_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_streams, "SILENCE_S", 0.1)
    monkeypatch.setattr(job_streams, "LIFE_S", 0.5)

    with closing(fleet.get(f"/ocpp/jobs/{job_id}/events")) as answer:
        chunks = list(answer.response)

    assert chunks[0].startswith(b"retry: ")
    assert b":\n\n" in chunks


def test_all_streams_share_one_query_and_their_quota(
    fleet: Fleet, job_id: int, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.stream_slots, "max_per_organization", 2)
    queries: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        queries.append(statement)

    path = f"/ocpp/jobs/{job_id}/events"
    with closing(fleet.get(path)) as first, closing(fleet.get(path)) as second:
        for answer in (first, second):
            next(jobs_of(answer))
        refused = fleet.get(path)
        engine = resources.pools.polling
        event.listen(engine, "before_cursor_execute", note)
        wait_until(lambda: len(queries) >= 3)
        event.remove(engine, "before_cursor_execute", note)

    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True)
    assert {"FROM jobs" in query and "IN (" in query for query in queries} == {True}
    wait_until(lambda: resources.job_streams.count == 0)
    assert fleet.request("HEAD", path).data == b""
