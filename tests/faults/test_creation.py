"""Everything is killed once while a job creates 250 chargers: each is created once, and every item becomes final."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared.models import Charger, Command, Job, JobItem
from tests.faults.rig import CLUSTER, Component, Rig, charger
from tests.support.fleet import NEW_LOCATION
from tests.support.waiting import wait_until

NUMBER = 250
WITHIN_S = 240


@pytest.fixture
def empty_rig() -> Iterator[Rig]:
    with (
        TemporaryDirectory(prefix="chargehand-faults-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        yield Rig(Path(folder), stack)


@pytest.mark.slow
def test_a_job_that_creates_chargers_survives_the_end_of_every_component(empty_rig: Rig) -> None:
    rig = empty_rig
    template = {name: value for name, value in charger(0).items() if name != "identity"}
    groups = [{"template": template | {"identity_prefix": "NEW-"}, "chargers_number": NUMBER}]
    with rig.client(timeout=30) as client:
        location_id = client.post("/ocpp/locations", json=NEW_LOCATION).json()["id"]
        path = f"/ocpp/locations/{location_id}/chargers"
        accepted = client.post(path, json=groups).json()

        lose(rig, rig.api)
        assert client.post(path, json=groups).json()["job_id"] == accepted["job_id"], "it is the same fleet"
        for number, component in enumerate([*rig.workers, rig.redis, rig.postgres, rig.beat], 1):
            until_created(rig, number * NUMBER // 8)
            lose(rig, component)
        wait_until(lambda: status_of(client, accepted["status_url"]) == "READY", WITHIN_S, "the job is READY")
        shown = client.get(accepted["status_url"]).json()

    results = shown["results"]
    assert (results["created_count"], results["failed_count"]) == (NUMBER, 0), results["failed"][:3]
    with Session(rig.engine) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1
        ids = session.scalars(select(Charger.id)).all()
        of_job = select(JobItem.charger_id).where(JobItem.result == "succeeded")
        assert sorted(session.scalars(of_job)) == sorted(ids)
        assert len(ids) == NUMBER
        commands = Counter(map(tuple, session.execute(select(Command.charger_id, Command.event_type))))
        assert commands == {(charger_id, "create_charger"): 1 for charger_id in ids}
    pages = rig.boto.get_paginator("list_services").paginate(cluster=CLUSTER)
    services = [arn.rpartition("/")[2] for page in pages for arn in page["serviceArns"]]
    assert sorted(services) == sorted(ids)


def lose(rig: Rig, component: Component) -> None:
    component.kill()
    component.start()
    if component in (rig.postgres, rig.redis, rig.api):
        component.wait_until_ready()


def until_created(rig: Rig, number: int) -> None:
    def enough() -> bool:
        try:
            with rig.engine.connect() as connection:
                return (connection.scalar(select(func.count()).select_from(Charger)) or 0) >= number
        except OperationalError:  # PostgreSQL has just come back
            return False

    wait_until(enough, WITHIN_S, f"{number} chargers are stored")


def status_of(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    return answer.json()["status"] if answer.status_code == 200 else answer.status_code
