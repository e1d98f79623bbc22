"""What a job that creates chargers inserts, and the results of its items."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from shared.fleet import chargers
from shared.fleet.jobs.create import NOT_CREATED
from shared.fleet.locations.standing import read_standing
from shared.fleet.specification.settings import Stored
from shared.models import Charger, ChargerCount, ChargerSettings, Command, JobItem, Location
from shared.queues import TaskName
from shared.vocabulary import EventType, JobStatus, ProvisioningStatus
from tests.support.waiting import wait_until
from tests.support.world import ORGANIZATION, World
from tests.worker.jobs.jobs import LOCATION, QUOTAS, SEALER, Jobs
from tests.worker.test_locking import waiting
from worker.jobs.run import next_due, step

SETTINGS = {"firmware_version": "1.2", "security": {"profile": 1, "password": "geheim-42"}}


def by_identity(world: World, identity: str) -> Charger:
    with world.sessions() as session:
        live = select(Charger).where(Charger.identity == identity, Charger.deleted_at.is_(None))
        return session.scalars(live).one()


def live_chargers(world: World) -> list[str]:
    with world.sessions() as session:
        live = select(Charger.identity).where(Charger.deleted_at.is_(None))
        return list(session.scalars(live.order_by(Charger.identity)))


def end_provisioning(world: World, identity: str, status: ProvisioningStatus, **more: object) -> None:
    with world.sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(Charger.identity == identity, Charger.deleted_at.is_(None))
            .values(provisioning_status=status, **more)
        )


def create_single(session: Session, identity: str = "SINGLE", **more: Any) -> str:
    """Create a charger at the location as one request does. Returns its id."""
    new = chargers.NewCharger(
        identity=identity,
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        connector_type="Type2",
        ws_url="ws://csms.test/ocpp",
        location_id=LOCATION,
        **more,
    )
    request = chargers.CreateRequest(new, ORGANIZATION, requested_by="tom", request_id="request-9")
    return chargers.create_charger(session, request, max_chargers=100, sealer=SEALER).charger_id


def test_a_job_inserts_for_each_charger_what_a_single_create_inserts(world: World, jobs: Jobs) -> None:
    job = jobs.create(
        "1",
        "2",
        template_name="Bay",
        settings=SETTINGS,
        location_name="Here",
        labels={"run": "7"},
        placement="shared",
    )
    with world.sessions.begin() as session:
        single = create_single(
            session,
            name="Bay 1",
            location_name="Here",
            labels={"run": "7"},
            settings=SETTINGS,
            placement="shared",
        )

    jobs.run()

    assert jobs.results(job) == ["requested", "requested"]
    one = by_identity(world, "NEW-1")
    expected = world.charger(single)
    own = {"id", "identity", "newest_command_id", "workflow_run_id", "created_at", "updated_at"}
    own |= {"publish_at", "observed_since"}
    for name in (
        {*Charger.__table__.c.keys()} - own - {"ocpp_state", "ocpp_reason", "ocpp_since", "list_group"}
    ):
        assert getattr(one, name) == getattr(expected, name), name
    assert by_identity(world, "NEW-2").name == "Bay 2"
    assert by_identity(world, "NEW-2").placement == "shared"
    assert one.workflow_run_id == job.workflow_run_id
    with world.sessions() as session:
        commands = session.scalars(select(Command).order_by(Command.created_at)).all()
        stored = Stored.of(session.get(ChargerSettings, one.id))
        assert stored.is_like(Stored.of(session.get(ChargerSettings, single)))
        assert stored.secrets(SEALER) == {"password": "geheim-42"}
    for command in commands:
        assert (command.event_type, command.generation, command.status) == ("create_charger", 1, "queued")
        assert (command.requested_by, command.request_id) == ("tom", "request-9")
        assert command.job_id == (None if command.charger_id == single else job.job_id)
    assert [(task, hint["charger_id"]) for task, hint in jobs.published] == [
        (TaskName.PROVISION, item.charger_id) for item in jobs.items(job)
    ]


def test_who_counts_the_chargers_of_a_location_misses_none_that_a_job_creates_meanwhile(
    world: World, jobs: Jobs
) -> None:
    jobs.create("1", "2")
    with world.sessions() as session:
        listen(session.get_bind(), "after_cursor_execute", lambda *_: jobs.run(), once=True)
        standing = read_standing(session, organization_id=ORGANIZATION, location_id=LOCATION)

    assert live_chargers(world) == ["NEW-1", "NEW-2"]
    assert standing.total == 2


def test_a_charger_is_created_when_its_provisioning_is_ready(world: World, jobs: Jobs) -> None:
    job = jobs.create("1", "2")
    jobs.run()

    world.work(jobs.items(job)[0].charger_id)
    jobs.run()

    assert jobs.results(job) == ["succeeded", "requested"]
    assert world.charger(jobs.items(job)[0].charger_id).provisioning_status == "READY"


def test_an_item_ends_as_the_provisioning_of_its_charger_also_after_newer_commands(
    world: World, jobs: Jobs
) -> None:
    job = jobs.create("1", "2", "3")
    jobs.run()
    ids = [item.charger_id for item in jobs.items(job)]
    world.update(ids[0], ws_url="ws://other.test/ocpp")  # supersedes the create
    world.work(ids[0])
    error = {"code": "image_unavailable", "message": "No such image", "step": None, "retryable": False}
    end_provisioning(world, "NEW-2", ProvisioningStatus.FAILED, error=error)
    world.delete(ids[2])

    jobs.run()

    assert [(item.result, item.reason, item.reason_code) for item in jobs.items(job)] == [
        ("succeeded", None, None),
        ("failed", "No such image", "image_unavailable"),
        ("superseded", "The charger was deleted meanwhile", None),
    ]
    assert jobs.read(job).status == JobStatus.FINISHED


def test_an_identity_that_is_taken_fails_its_item_and_no_other(world: World, jobs: Jobs) -> None:
    taken = world.create("NEW-2")
    job = jobs.create("1", "2", "3", "1")

    jobs.run()

    assert [(item.result, item.reason_code) for item in jobs.items(job)] == [
        ("requested", None),
        ("failed", "identity_taken"),
        ("requested", None),
        ("failed", "identity_taken"),
    ]
    assert jobs.items(job)[1].reason == NOT_CREATED["identity_taken"]
    assert live_chargers(world) == ["NEW-1", "NEW-2", "NEW-3"]
    assert by_identity(world, "NEW-2").id == taken
    assert len(jobs.commands(job)) == len(jobs.published) == 2


def test_chargers_beyond_the_quota_fail_and_say_so(world: World, jobs: Jobs) -> None:
    world.create("OLD")
    job = jobs.create("1", "2", "3", "4")

    for _ in range(2):
        jobs.run(max_chargers=3)

    assert jobs.results(job) == ["requested", "requested", "failed", "failed"]
    assert jobs.reasons(job)[2:] == ["quota_full"] * 2
    assert live_chargers(world) == ["NEW-1", "NEW-2", "OLD"]


def test_a_charger_that_is_created_at_the_same_moment_counts_for_the_quota(world: World, jobs: Jobs) -> None:
    job = jobs.create("1", "2", "3")

    with ThreadPoolExecutor(1) as pool:
        with world.sessions.begin() as session:
            create_single(session)
            portion = pool.submit(jobs.run, max_chargers=3)
            wait_until(lambda: waiting(world) == 1)
        portion.result(10)
    late = jobs.results(job)
    for _ in range(2):
        jobs.run(max_chargers=3)

    assert late == ["waiting"] * 3
    assert jobs.results(job) == ["requested", "requested", "failed"]
    assert live_chargers(world) == ["NEW-1", "NEW-2", "SINGLE"]


def test_a_deleted_location_gets_no_further_charger(world: World, jobs: Jobs) -> None:
    job = jobs.create("1", "2")
    with world.sessions.begin() as session:
        session.get_one(Location, (ORGANIZATION, LOCATION)).deleted_at = func.now()

    jobs.run()

    assert jobs.results(job) == ["failed", "failed"]
    assert set(jobs.reasons(job)) == {"location_deleted"}
    assert jobs.read(job).status == JobStatus.FINISHED
    assert live_chargers(world) == []


def test_the_time_to_live_counts_from_the_creation_of_each_charger(world: World, jobs: Jobs) -> None:
    jobs.create("1", ttl_seconds=3600)

    jobs.run()

    charger = by_identity(world, "NEW-1")
    assert charger.expires_at is not None
    assert charger.expires_at - charger.created_at == timedelta(hours=1)


def test_a_cancelled_job_creates_nothing_more(world: World, jobs: Jobs) -> None:
    job = jobs.create("1", "2")
    jobs.change(job, JobStatus.CANCELLED)

    jobs.run()

    assert jobs.results(job) == ["cancelled", "cancelled"]
    assert live_chargers(world) == []


def test_a_worker_that_dies_in_a_portion_creates_nothing_twice(world: World, jobs: Jobs) -> None:
    job = jobs.create("1", "2")
    with world.sessions() as session:
        due = next_due(session)
        assert due is not None
        step(session, due, QUOTAS)
        session.flush()
        session.rollback()  # what PostgreSQL does when the worker's connection ends
    assert live_chargers(world) == []

    jobs.run()

    assert live_chargers(world) == ["NEW-1", "NEW-2"]
    assert [by_identity(world, item.identity).id for item in jobs.items(job)] == [
        item.charger_id for item in jobs.items(job)
    ]


def test_a_retry_deletes_the_charger_whose_provisioning_failed_and_creates_it_again(
    world: World, jobs: Jobs
) -> None:
    job = jobs.create("1", "2", "3")
    jobs.run()
    failed, kept, gone = (item.charger_id for item in jobs.items(job))
    end_provisioning(world, "NEW-1", ProvisioningStatus.FAILED)
    end_provisioning(world, "NEW-3", ProvisioningStatus.FAILED)
    world.work(kept)
    jobs.run()
    world.delete(gone)
    jobs.published.clear()

    again = jobs.again(job)
    jobs.run()

    assert jobs.results(again) == ["requested", "requested"]
    assert world.charger(failed).deleted_at is not None
    assert by_identity(world, "NEW-1").id == jobs.items(again)[0].charger_id
    assert by_identity(world, "NEW-2").id == kept
    assert Counter(hint["event_type"] for _, hint in jobs.published) == {
        EventType.DELETE_CHARGER: 1,
        EventType.CREATE_CHARGER: 2,
    }


def test_a_retry_leaves_a_charger_alone_that_took_the_identity_since(world: World, jobs: Jobs) -> None:
    other = world.create("NEW-1")
    job = jobs.create("1")
    jobs.run()

    again = jobs.again(job)
    jobs.run()

    assert jobs.reasons(again) == ["identity_taken"]
    assert by_identity(world, "NEW-1").id == other
    with world.sessions() as session:
        assert session.scalar(select(func.count()).select_from(JobItem)) == 2


def test_a_retry_and_a_create_of_one_of_its_identities_do_not_wait_for_each_other(
    world: World, jobs: Jobs
) -> None:
    job = jobs.create("1", "2")
    jobs.run()
    for item in jobs.items(job):
        end_provisioning(world, item.identity, ProvisioningStatus.FAILED)
    jobs.run()
    world.delete(jobs.items(job)[1].charger_id)
    again = jobs.again(job)

    def create() -> str:
        with world.sessions.begin() as session:
            return create_single(session, "NEW-2")

    with ThreadPoolExecutor(2) as pool:
        with world.sessions.begin() as holder:
            holder.execute(select(ChargerCount).with_for_update())
            retry = pool.submit(jobs.run)
            wait_until(lambda: waiting(world) == 1)
            single = pool.submit(create)
            wait_until(lambda: waiting(world) == 2)
        retry.result(20)
        created = single.result(20)

    assert jobs.reasons(again) == [None, "identity_taken"]
    assert by_identity(world, "NEW-1").id == jobs.items(again)[0].charger_id
    assert by_identity(world, "NEW-2").id == created
