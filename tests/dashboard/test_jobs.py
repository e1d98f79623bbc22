"""The views of jobs on an API without workers: the test continues the jobs, so each state can be seen."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import func, update

from shared.database.engine import Sessions, make_engine
from shared.models import Charger, Command, Job
from tests.dashboard.browser import (
    DESKTOP,
    PHONE,
    Complaints,
    axe,
    axe_in_both_themes,
    open_view,
    width_of_content,
)
from tests.dashboard.conftest import NewPage, StackToken
from tests.dashboard.rows import insert_rows
from tests.support.api_server import running_api
from tests.support.http import PLAIN_HTTP
from tests.support.stack import Stack
from worker.jobs.run import Quotas, run_steps

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def backend(new_database: Callable[[], str]) -> Iterator[Sessions]:
    engine = make_engine(new_database())
    insert_rows(engine, 60, prefix="JB-RUN-", runs=True, link="accepted")
    insert_rows(engine, 4, prefix="JB-STOP-")
    yield Sessions(engine)
    engine.dispose()


@pytest.fixture(scope="module")
def stack(backend: Sessions, redis_url: str, server_folder: Path) -> Iterator[Stack]:
    """The API alone: no worker continues its jobs."""
    folder = server_folder / "jobs"
    database_url = backend.autocommit.url.render_as_string(hide_password=False)
    broker_url = f"{redis_url.removesuffix('/0')}/4"
    with running_api(database_url, broker_url, folder) as url:
        yield Stack(url, "", database_url, broker_url, {}, folder)


@pytest.fixture
def client(stack: Stack, stack_token: StackToken, backend: Sessions) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, **PLAIN_HTTP) as client:
        yield client
    finish(backend)
    with backend.begin() as session:  # as before the test, for the next one
        for prefix, count in (("JB-RUN-", 1), ("JB-STOP-", 0)):
            those = Charger.identity.like(f"{prefix}%")
            session.execute(update(Charger).where(those).values(desired_count=count, running_count=count))
        session.execute(Job.__table__.delete())  # type: ignore[attr-defined]


@pytest.fixture
def complaints(backend: Sessions, complaints: Complaints) -> Complaints:
    """Every page is closed before `backend` deletes the jobs, for which an open one would ask in vain."""
    return complaints


def accept(client: httpx.Client, action: str, prefix: str, **more: object) -> str:
    """A job for the chargers of the prefix. Returns its id."""
    answer = client.post(f"/ocpp/chargers/{action}", json={"filters": {"q": prefix}, **more})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def run(backend: Sessions) -> None:
    """What a worker does: continue every job that is open."""
    with backend.begin() as session:
        session.execute(update(Job).where(Job.next_at.is_not(None)).values(next_at=func.now()))
    run_steps(backend, lambda _: None, Quotas(1_000, 1_000))


def finish(backend: Sessions, *, failed: str = "none") -> None:
    """What workers write when every open command has ended: it failed for chargers whose identity matches."""
    error = {"code": "image_unavailable", "message": f"No image {HOSTILE}", "step": None, "retryable": False}
    with backend.begin() as session:
        is_open = Command.status.in_(["queued", "applied"])
        fails = Command.charger_id == Charger.id, Charger.identity.like(failed)
        session.execute(
            update(Command)
            .where(is_open, *fails)
            .values(status="failed", error=error, finished_at=func.now())
        )
        session.execute(update(Command).where(is_open).values(status="succeeded", finished_at=func.now()))
        session.execute(
            update(Charger).values(
                observed_generation=Charger.generation,
                settled_generation=Charger.generation,
                running_count=Charger.desired_count,
                publish_at=None,
            )
        )
    run(backend)


def items(page: Page) -> Locator:
    return page.get_by_role("table", name="Chargers of the job").locator("tbody tr")


def test_a_job_is_followed_until_it_is_final(page: Page, client: httpx.Client, backend: Sessions) -> None:
    job_id = accept(client, "restart", "JB-RUN-")
    open_view(page, f"/dashboard/jobs/{job_id}")
    expect(page.get_by_role("heading", name="Restart 60 chargers", level=1)).to_be_visible()
    bar = page.get_by_role("progressbar", name="Progress of the job")
    expect(bar).to_have_attribute("aria-valuetext", "0 of 60 done")
    expect(page.get_by_role("button", name="60 waiting")).to_be_visible()

    run(backend)
    expect(page.get_by_role("button", name="60 under way")).to_be_visible()
    finish(backend)

    expect(bar).to_have_attribute("aria-valuenow", "60")
    expect(page.locator(".job-head .badge")).to_have_text(re.compile("finished"))
    expect(page.locator("#announcements")).to_have_text("Restart 60 chargers: 60 of 60 done")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_what_failed_comes_first_with_its_reason_and_is_tried_again(
    page: Page, client: httpx.Client, backend: Sessions
) -> None:
    job_id = accept(client, "restart", "JB-RUN-")
    run(backend)
    finish(backend, failed="JB-RUN-000%")

    open_view(page, f"/dashboard/jobs/{job_id}")
    expect(page.get_by_role("heading", name="Chargers: failed (9)")).to_be_visible()
    expect(items(page)).to_have_count(9)
    expect(items(page).first).to_contain_text(f"No image {HOSTILE}")
    page.get_by_role("button", name="Try 9 failed chargers again").click()

    expect(page.get_by_role("heading", name="Restart 9 chargers", level=1)).to_be_visible()
    expect(page.get_by_text("tries again what failed in")).to_be_visible()


def test_the_report_of_a_job_is_downloaded_as_a_page(
    page: Page, client: httpx.Client, backend: Sessions
) -> None:
    job_id = accept(client, "restart", "JB-RUN-")
    run(backend)
    finish(backend, failed="JB-RUN-000%")
    open_view(page, f"/dashboard/jobs/{job_id}")

    with page.expect_download() as download:
        page.get_by_role("button", name="Download the report").click()

    assert download.value.suggested_filename == f"job-{job_id}.html"
    html = download.value.path().read_text(encoding="utf-8")
    assert f"<h1>Job {job_id}: restart</h1>" in html
    assert HOSTILE not in html


def test_a_count_filters_the_chargers_and_back_takes_the_filter_off(
    page: Page, client: httpx.Client, backend: Sessions
) -> None:
    job_id = accept(client, "stop", "JB-")
    run(backend)
    open_view(page, f"/dashboard/jobs/{job_id}")
    expect(items(page)).to_have_count(50)

    page.get_by_role("button", name="4 skipped").click()

    expect(page).to_have_url(re.compile(r"\?result=skipped$"))
    expect(items(page)).to_have_count(4)
    expect(items(page).first).to_contain_text("The charger is stopped already")
    page.go_back()
    expect(items(page)).to_have_count(50)
    page.get_by_role("button", name="Page 2").click()
    expect(items(page)).to_have_count(14)


def test_a_job_is_paused_resumed_and_cancelled_after_a_question(
    page: Page, client: httpx.Client, backend: Sessions
) -> None:
    job_id = accept(client, "stop", "JB-RUN-", rate_per_second=0.01)
    run(backend)
    open_view(page, f"/dashboard/jobs/{job_id}")

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused by tester")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Cancel the job").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("59 chargers still waiting: left as they are.")
    expect(dialog.get_by_role("button", name="Cancel", exact=True)).to_be_focused()
    assert axe(page) == []
    dialog.get_by_role("button", name="Cancel the job").click()

    expect(page.get_by_text("Cancelled by tester: the commands")).to_be_visible()
    run(backend)
    expect(page.get_by_role("button", name="59 cancelled")).to_be_visible()


def test_the_list_shows_jobs_newest_first_and_filters_by_state(
    page: Page, client: httpx.Client, backend: Sessions
) -> None:
    accept(client, "restart", "JB-STOP-")
    run(backend)
    finish(backend)
    accept(client, "stop", "JB-RUN-", rate_per_second=2)

    open_view(page, "/dashboard/jobs")
    jobs = page.get_by_role("table", name="Jobs").locator("tbody tr")
    expect(jobs).to_have_count(2)
    expect(jobs.first).to_contain_text("Stop 60 chargers")
    expect(jobs.first).to_contain_text("by tester")
    page.get_by_role("button", name="finished").click()

    expect(jobs).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?status=finished$"))
    page.get_by_role("link", name="Restart 4 chargers").click()
    expect(page.get_by_role("heading", name="Restart 4 chargers", level=1)).to_be_focused()


def test_the_list_follows_the_jobs_on_it(page: Page, client: httpx.Client, backend: Sessions) -> None:
    accept(client, "stop", "JB-RUN-")
    open_view(page, "/dashboard/jobs")
    expect(page.get_by_text("0 of 60 done")).to_be_visible()

    run(backend)
    finish(backend)

    expect(page.get_by_text("60 of 60 done")).to_be_visible()


def test_a_list_that_was_requested_for_another_filter_is_not_waited_for(
    page: Page, client: httpx.Client
) -> None:
    """Its answer would show jobs in a state that was not chosen."""
    job_id = accept(client, "stop", "JB-RUN-")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/ocpp/jobs?*status=cancelled*", hold)
    open_view(page, "/dashboard/jobs")
    states = page.get_by_role("group", name="Jobs by state")
    with page.expect_request("**/ocpp/jobs?*status=cancelled*"):
        states.get_by_role("button", name="cancelled").click()

    with page.expect_event("requestfailed", lambda request: request.url == held[0].request.url):
        states.get_by_role("button", name="running").click()

    expect(page.get_by_role("link", name="Stop 60 chargers").first).to_be_visible()
    client.post(f"/ocpp/jobs/{job_id}/cancel").raise_for_status()


def test_while_the_api_is_away_the_job_stays_and_says_so(
    page: Page, client: httpx.Client, complaints: Complaints, backend: Sessions
) -> None:
    complaints.allow("ERR_FAILED", "ERR_CONNECTION")
    job_id = accept(client, "stop", "JB-RUN-")
    open_view(page, f"/dashboard/jobs/{job_id}")

    page.route("**/ocpp/jobs/**", lambda route: route.abort())
    expect(page.get_by_text("This may be old")).to_be_visible()
    expect(page.get_by_role("heading", name="Stop 60 chargers")).to_be_visible()
    page.unroute("**/ocpp/jobs/**")
    run(backend)

    expect(page.get_by_role("button", name="60 under way")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("This may be old")).to_be_hidden()


def test_the_views_are_accessible_and_fit_a_phone(
    new_page: NewPage, client: httpx.Client, backend: Sessions
) -> None:
    job_id = accept(client, "restart", "JB-RUN-")
    run(backend)
    finish(backend, failed="JB-RUN-000%")
    accept(client, "stop", "JB-", rate_per_second=2)
    run(backend)
    for viewport in (DESKTOP, PHONE):
        page = new_page(viewport=viewport)
        for path in ("/dashboard/jobs", f"/dashboard/jobs/{job_id}", f"/dashboard/jobs/{int(job_id) + 1}"):
            open_view(page, path)
            expect(page.get_by_role("progressbar").first).to_be_visible()
            assert axe_in_both_themes(page) == [], path
            assert width_of_content(page) <= viewport["width"], path
