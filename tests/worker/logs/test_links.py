"""A link is shown from the log of the running task, whatever the clocks say."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from shared.database.engine import Sessions
from shared.fleet.links import ACCEPTED
from shared.models import Charger, ChargerLink
from tests.support.links import line, read_lines, shown_link
from tests.support.world import World
from tests.worker.logs.linking import A_MINUTE, NOW, boot, listed_state, running_task, state
from tests.worker.rolling import beat, deliver_all, new_workers, old_fleet
from worker.ecs.budget import BudgetSpent
from worker.logs import apply_links


def is_accepted(world: World, charger_id: str) -> bool:
    with world.sessions() as session:
        return session.scalars(select(ACCEPTED).where(Charger.id == charger_id)).one()


@pytest.mark.parametrize("behind", [timedelta(milliseconds=50), timedelta(hours=1)])
def test_a_host_whose_clock_is_behind_the_databases_does_not_hide_that_its_charger_is_accepted(
    world: World, behind: timedelta
) -> None:
    charger_id = world.ready()
    first = running_task(world, charger_id)
    read_lines(world.sessions, *boot(charger_id, first, datetime.now(UTC)))
    world.ecs.crash(charger_id)
    at = datetime.now(UTC) - behind
    world.observe()
    down = state(world, charger_id)
    world.ecs.settle()
    second = running_task(world, charger_id)
    read_lines(world.sessions, *boot(charger_id, second, at), line(charger_id, None, at + A_MINUTE, second))
    world.observe()

    assert second != first
    assert world.charger(charger_id).running_count == 1
    assert (down, state(world, charger_id), listed_state(world, charger_id)) == (
        "disconnected",
        *["accepted"] * 2,
    )
    assert is_accepted(world, charger_id)


@pytest.mark.parametrize("goodbye", [True, False])
def test_a_charger_of_which_nothing_runs_is_disconnected_and_says_why(world: World, goodbye: bool) -> None:
    charger_id = world.ready()
    task = running_task(world, charger_id)
    read_lines(world.sessions, *boot(charger_id, task, NOW))
    if goodbye:
        read_lines(world.sessions, line(charger_id, "disconnected", NOW + A_MINUTE, task, reason="stopped"))

    world.ecs.crash(charger_id)
    world.observe_once()

    link = shown_link(world.sessions, charger_id)
    charger = world.charger(charger_id)
    assert (link.state, charger.link_state) == ("disconnected", "disconnected")
    assert link.reason == ("stopped" if goodbye else "The charger's process does not run")
    assert link.since == (NOW + A_MINUTE if goodbye else charger.observed_since)


@pytest.mark.parametrize("found", [True, False])
def test_the_process_after_a_crash_has_no_link_before_its_log_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    """Also while the rate budget allows no call that finds out which task it is."""
    charger_id = world.ready()
    read_lines(world.sessions, *boot(charger_id, running_task(world, charger_id), NOW))
    before = is_accepted(world, charger_id)
    world.ecs.crash(charger_id)
    world.observe_once()
    world.ecs.settle()
    with monkeypatch.context() as patch:
        if not found:
            patch.setattr(world.ecs, "current_task", _no_turn)
        world.observe_once()
    assert world.charger(charger_id).running_count == 1
    silent = (state(world, charger_id), listed_state(world, charger_id), is_accepted(world, charger_id))
    read_lines(world.sessions, *boot(charger_id, running_task(world, charger_id), NOW - A_MINUTE))
    world.observe_once()

    assert (before, silent) == (True, ("connecting", "connecting", False))
    assert (state(world, charger_id), is_accepted(world, charger_id)) == ("accepted", True)


@pytest.mark.parametrize("order", ["older first", "older last", "one page"])
@pytest.mark.parametrize("ahead", [-A_MINUTE, timedelta(), A_MINUTE])
def test_the_task_that_runs_has_the_last_word_whatever_the_clocks_say(
    world: World, order: str, ahead: timedelta
) -> None:
    charger_id = world.ready()
    older = running_task(world, charger_id)
    read_lines(world.sessions, line(charger_id, "accepted", NOW - A_MINUTE, older))
    world.restart(charger_id)
    world.work(charger_id)
    task = running_task(world, charger_id)
    old, new = line(charger_id, "disconnected", NOW + ahead, older), line(charger_id, "accepted", NOW, task)

    if order == "one page":
        read_lines(world.sessions, old, new)
    else:
        for each in (old, new) if order == "older first" else (new, old):
            read_lines(world.sessions, each)

    assert task != older
    assert (state(world, charger_id), listed_state(world, charger_id)) == ("accepted", "accepted")
    assert is_accepted(world, charger_id)


def test_frames_of_the_task_that_runs_prove_its_link_and_those_of_an_older_one_do_not(world: World) -> None:
    """The line about a new connection may be read after the frames that were sent over it."""
    charger_id = world.ready()
    older = running_task(world, charger_id)
    read_lines(world.sessions, *boot(charger_id, older, NOW))
    world.restart(charger_id)
    world.work(charger_id)
    task = running_task(world, charger_id)
    read_lines(world.sessions, line(charger_id, "disconnected", NOW, task, reason="closed"))

    read_lines(world.sessions, line(charger_id, None, NOW + A_MINUTE, older))
    by_the_older = (state(world, charger_id), listed_state(world, charger_id))
    read_lines(world.sessions, line(charger_id, None, NOW + A_MINUTE, task))
    by_its_own = (state(world, charger_id), listed_state(world, charger_id))
    read_lines(world.sessions, line(charger_id, "accepted", NOW + A_MINUTE / 2, task))

    assert by_the_older == ("disconnected", "disconnected")
    assert by_its_own == ("connected", "connected")
    assert (state(world, charger_id), listed_state(world, charger_id)) == ("accepted", "accepted")


def test_a_task_of_which_only_frames_were_read_is_connected(world: World) -> None:
    charger_id = world.ready()

    read_lines(world.sessions, line(charger_id, None, NOW, running_task(world, charger_id)))

    link = shown_link(world.sessions, charger_id)
    assert (link.state, link.since, link.last_frame_at) == ("connected", None, NOW)


def test_a_late_line_of_an_older_task_costs_the_observer_one_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, its lines came hours late. Each attempt to find out which task runs costs a call."""
    charger_id = world.ready()
    read_lines(world.sessions, *boot(charger_id, running_task(world, charger_id), NOW))
    read_lines(world.sessions, *boot(charger_id, "of-yesterday", NOW))
    calls = []
    current_task = world.ecs.current_task

    def count_calls(charger_id: str) -> str | None:
        calls.append(charger_id)
        return current_task(charger_id)

    monkeypatch.setattr(world.ecs, "current_task", count_calls)
    world.observe_once()
    at_once = len(calls)
    with world.sessions.begin() as session:
        session.execute(update(ChargerLink).values(first_read_at=func.now() - timedelta(hours=1)))
    world.observe_once()
    world.observe_once()

    assert (at_once, len(calls)) == (1, 1)
    assert state(world, charger_id) == "accepted"


def test_a_rollout_of_a_first_generation_is_accepted_by_the_boot_of_its_own_task(world: World) -> None:
    """The log of the previous task is read late, and the one of the new task has not been read yet."""
    charger_id = old_fleet(world)[0]
    first = running_task(world, charger_id)
    new = new_workers(world)
    beat(world, new)
    deliver_all(world, new, [charger_id])
    world.observe_once()

    read_lines(world.sessions, *boot(charger_id, first, NOW))
    by_the_first = is_accepted(world, charger_id)
    world.observe()
    rolled_out = (state(world, charger_id), is_accepted(world, charger_id))
    read_lines(world.sessions, *boot(charger_id, running_task(world, charger_id), NOW - A_MINUTE))

    assert world.charger(charger_id).rollout_hash is None
    assert world.charger(charger_id).generation == 1
    assert (by_the_first, rolled_out) == (False, ("connecting", False))
    assert (state(world, charger_id), is_accepted(world, charger_id)) == ("accepted", True)


def test_the_last_tasks_of_a_charger_are_kept_and_the_one_that_runs(world: World) -> None:
    charger_id = world.ready()
    task = running_task(world, charger_id)
    tasks = [task, *(f"other-{number}" for number in range(9))]

    for each in tasks:
        read_lines(world.sessions, line(charger_id, "accepted", NOW, each))

    with world.sessions() as session:
        kept = session.scalars(select(ChargerLink.task_id).order_by(ChargerLink.first_read_at)).all()
    assert kept == [task, *tasks[-apply_links.MAX_TASKS :]]


def test_a_task_that_still_runs_though_ecs_said_that_nothing_does_is_found_again(world: World) -> None:
    """ECS may answer with a state that is some seconds old."""
    charger_id = world.ready()
    read_lines(world.sessions, *boot(charger_id, running_task(world, charger_id), NOW))
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(running_count=0, running_task_ended_at=func.now()))
    down = state(world, charger_id)

    world.observe_once()

    assert (down, state(world, charger_id), listed_state(world, charger_id)) == (
        "disconnected",
        *["accepted"] * 2,
    )


def _no_turn(_: str) -> None:
    raise BudgetSpent(1)


def test_accepting_a_command_fires_no_trigger_of_links(sessions: Sessions) -> None:
    """A trigger without a list of columns runs at every update of the row, also when a command is recorded."""
    with sessions() as session:
        without_columns = session.scalars(
            text("""
                SELECT tgname FROM pg_trigger WHERE tgrelid = 'chargers'::regclass AND tgattr = ''
                AND tgname = 'chargers_link_shown'
            """)
        ).all()

    assert without_columns == []
