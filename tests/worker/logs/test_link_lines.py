"""A charger's link to its CSMS has the state of the newest line of its log."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from shared.models import Charger, ChargerEvent
from tests.support.links import line, shown_link
from tests.support.world import World
from tests.worker.logs.log_group import PAGE, CrashingClient, LogGroup
from worker.logs.links import write_links
from worker.logs.read import read_logs


def link_of(world: World, charger_id: str) -> tuple[str | None, str | None]:
    """Its state and reason, as clients see them while its process runs."""
    with world.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(running_count=1))
    link = shown_link(world.sessions, charger_id)
    return link.state, link.reason


def test_the_newest_connection_event_is_the_link_whatever_the_order(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.link(charger_id, "connected", ago_s=20)
    group.link(charger_id, "accepted", ago_s=10, detail="interval 300 s")
    group.read()
    group.link(charger_id, "connecting", ago_s=30)
    group.read()

    assert link_of(world, charger_id) == ("accepted", "interval 300 s")
    group.link(charger_id, "disconnected", ago_s=5, reason="closed")
    group.read()
    group.read()

    assert link_of(world, charger_id) == ("disconnected", "closed")


def test_why_a_charger_is_not_accepted_changes_while_its_link_stays_up(world: World, group: LogGroup) -> None:
    """The newest reason is shown, and each is an event, also words that this release does not know."""
    charger_id = world.create()
    link_of(world, charger_id)
    reasons = [None, "boot_pending", "boot_refused_by_aliens", "boot_pending"]
    shown = []
    for number, reason in enumerate(reasons):
        group.link(charger_id, "connected", ago_s=9 - number, reason=reason)
        group.read()
        shown.append(link_of(world, charger_id))

    assert shown == [("connected", reason) for reason in reasons]
    with world.sessions() as session:
        of_link = (ChargerEvent.charger_id == charger_id, ChargerEvent.type == "ocpp")
        events = session.scalars(select(ChargerEvent.data).where(*of_link).order_by(ChargerEvent.id))
        assert [event["reason"] for event in events][-len(reasons) :] == reasons


def test_a_new_try_keeps_the_reason_of_the_last_one(world: World, group: LogGroup) -> None:
    """For several chargers at once, in one page and over two."""
    chargers = [world.create("CP-1"), world.create("CP-2")]
    for charger_id in chargers:
        group.link(charger_id, "disconnected", ago_s=9, detail="nothing listens")
    group.link(chargers[0], "connecting", ago_s=8)
    group.read()
    group.link(chargers[1], "connecting", ago_s=7)
    group.read()

    links = [link_of(world, charger_id) for charger_id in chargers]
    assert links == [("connecting", "nothing listens")] * 2


@pytest.mark.parametrize("page", [1, 2, PAGE])
def test_of_two_events_in_one_millisecond_the_later_one_counts(
    world: World, group: LogGroup, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.client.PAGE_LIMIT", page)
    charger_id = world.create()
    group.link(charger_id, "connecting", ago_s=1)
    group.link(charger_id, "connected", ago_s=1)
    group.read()
    first = link_of(world, charger_id)[0]
    group.link(charger_id, "accepted", ago_s=1)
    group.read()

    assert (first, link_of(world, charger_id)[0]) == ("connected", "accepted")


def test_a_frame_is_a_sign_of_life(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id, ago_s=20)
    group.frame(charger_id, ago_s=10)
    group.read()
    group.frame(charger_id, ago_s=15)
    group.read()

    at = shown_link(world.sessions, charger_id).last_frame_at
    assert at is not None
    assert abs(at - (group.now - timedelta(seconds=10))) < timedelta(milliseconds=2)


@pytest.mark.parametrize("writer", ["the running task", "another task"])
def test_a_link_names_its_task_and_a_new_task_makes_the_charger_due_for_the_observer(
    world: World, group: LogGroup, writer: str
) -> None:
    charger_id = world.create()
    later = group.now + timedelta(hours=1)
    with world.sessions.begin() as session:
        session.execute(
            update(Charger).values(
                running_task_arn="arn:aws:ecs:us-east-1:123456789012:task/chargehand/aaa",
                running_task_generation=1,
                observe_at=later,
            )
        )
    task = "aaa" if writer == "the running task" else "bbb"

    group.link(charger_id, "accepted", task=task)
    group.read()

    charger = world.charger(charger_id)
    assert shown_link(world.sessions, charger_id).task_id == task
    assert charger.observe_at is not None
    assert (charger.observe_at < later) == (task == "bbb")


def test_a_link_that_a_crashed_reader_left_is_applied_by_the_next(world: World, group: LogGroup) -> None:
    charger_id = world.ready()
    with world.sessions.begin() as page:
        write_links(page, [line(charger_id, "accepted")])
    before = (shown_link(world.sessions, charger_id).state, world.charger(charger_id).link_state)

    with pytest.raises(KeyboardInterrupt):
        read_logs(world.sessions, CrashingClient(group.client, 0), group.timing)

    assert (before, world.charger(charger_id).link_state) == (("accepted", None), "accepted")
