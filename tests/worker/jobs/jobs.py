"""What clients and workers do with jobs."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import func, insert, select, update

from shared.fleet.jobs.accept import JobReceipt, JobRequest, Selection, accept_job
from shared.fleet.jobs.create import (
    CreateAgainRequest,
    CreateManyRequest,
    Group,
    Template,
    accept_again,
    accept_creation,
)
from shared.fleet.jobs.read import change_job
from shared.fleet.listing import Filters
from shared.models import Charger, Command, Job, JobItem, Location
from shared.sealing import Sealer
from shared.vocabulary import CommandStatus, JobAction, JobStatus, ProvisioningStatus
from tests.support.environment import ENCRYPTION_KEY
from tests.support.world import ORGANIZATION, World
from worker.jobs.portion import Messages
from worker.jobs.run import Quotas, run_steps

MAX_OPEN, MAX_CHARGERS = 1_000, 1_000
LOCATION = "north"
SEALER = Sealer((ENCRYPTION_KEY,))
QUOTAS = Quotas(MAX_OPEN, MAX_CHARGERS)


class Jobs:
    """What clients and workers do with jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.published: Messages = []

    def accept(self, action: JobAction, ids: Sequence[str] | None = None, **more: Any) -> JobReceipt:
        selection = Selection(filters=Filters()) if ids is None else Selection(charger_ids=tuple(ids))
        request = JobRequest(
            action, selection, ORGANIZATION, requested_by="tom", request_id="request-9", **more
        )
        with self.world.sessions.begin() as session:
            return accept_job(session, request, max_open=100)

    def create(
        self, *suffixes: str, location_id: str = LOCATION, identity_prefix: str = "NEW-", **template: Any
    ) -> JobReceipt:
        """Accept a job that creates chargers with these suffixes at a location, which is made if there is none."""
        of_all = {
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": "ws://csms.test/ocpp",
        }
        group = Group(Template(**(of_all | template), identity_prefix=identity_prefix), suffixes)
        request = CreateManyRequest(
            location_id, (group,), (uuid4().bytes,), ORGANIZATION, requested_by="tom", request_id="request-9"
        )
        with self.world.sessions.begin() as session:
            if session.get(Location, (ORGANIZATION, location_id)) is None:
                session.add(Location(organization_id=ORGANIZATION, id=location_id, name="North"))
                session.flush()
            return accept_creation(session, request, max_open=100, sealer=SEALER)

    def again(self, job: JobReceipt) -> JobReceipt:
        request = CreateAgainRequest(job.job_id, ORGANIZATION, requested_by="tom", request_id=None)
        with self.world.sessions.begin() as session:
            return accept_again(session, request, max_open=100)

    def run(self, *, max_open_commands: int = MAX_OPEN, max_chargers: int = MAX_CHARGERS) -> None:
        """Continue every job that is not final, whenever it would be due."""
        self.make_due()
        self.run_due(Quotas(max_open_commands, max_chargers))

    def run_due(self, quotas: Quotas = QUOTAS) -> None:
        run_steps(self.world.sessions, self.published.extend, quotas)

    def make_due(self) -> None:
        with self.world.sessions.begin() as session:
            session.execute(update(Job).where(Job.next_at.is_not(None)).values(next_at=func.now()))

    def change(self, job: JobReceipt, status: JobStatus) -> None:
        with self.world.sessions.begin() as session:
            change_job(
                session,
                organization_id=ORGANIZATION,
                job_id=job.job_id,
                status=status,
                changed_by="tom",
            )

    def read(self, job: JobReceipt) -> Job:
        with self.world.sessions() as session:
            return session.get_one(Job, job.job_id)

    def items(self, job: JobReceipt) -> list[JobItem]:
        with self.world.sessions() as session:
            return list(
                session.scalars(
                    select(JobItem).where(JobItem.job_id == job.job_id).order_by(JobItem.position)
                )
            )

    def results(self, job: JobReceipt) -> list[str]:
        return [item.result for item in self.items(job)]

    def reasons(self, job: JobReceipt) -> list[str | None]:
        return [item.reason_code for item in self.items(job)]

    def commands(self, job: JobReceipt) -> list[Command]:
        with self.world.sessions() as session:
            return list(session.scalars(select(Command).where(Command.job_id == job.job_id)))

    def finish(self, status: CommandStatus = CommandStatus.SUCCEEDED, **more: Any) -> None:
        """What workers write when every open command has ended."""
        with self.world.sessions.begin() as session:
            session.execute(
                update(Charger).values(
                    observed_generation=Charger.generation,
                    settled_generation=Charger.generation,
                    running_count=Charger.desired_count,
                    provisioning_status=ProvisioningStatus.READY,
                    publish_at=None,
                    observed_at=func.now(),
                )
            )
            session.execute(
                update(Command)
                .where(Command.status.in_(["queued", "applied"]))
                .values(status=status, finished_at=func.now(), **more)
            )


def several(world: World, number: int) -> list[str]:
    """Chargers that run. All but the first are copies of it."""
    first = world.ready()
    kept = [column for column in Charger.__table__.c if column.server_onupdate is None]
    with world.sessions.begin() as session:
        row = session.execute(select(*kept).where(Charger.id == first)).one()._asdict()
        copies = [
            row | {"id": f"{first}-{place:04}", "identity": f"CP-{place:04}"} for place in range(1, number)
        ]
        session.execute(insert(Charger), copies)
        return list(session.scalars(select(Charger.id).order_by(Charger.id)))
