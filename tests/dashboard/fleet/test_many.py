"""What is requested of many chargers at once: a job, after a question with the number that the server counts."""

import re

from playwright.sync_api import expect

from tests.dashboard.browser import Complaints
from tests.dashboard.fleet.conftest import Own, rows


def select_all(own: Own, count: int) -> None:
    """Select the page, and in the second step everything that matches."""
    own.page.get_by_role("checkbox", name="Select the page").check()
    own.page.get_by_role("button", name=f"Select all {count} chargers that match").click()


def press(own: Own, verb: str) -> None:
    own.page.get_by_role("toolbar", name="Selected chargers").get_by_role(
        "button", name=verb, exact=True
    ).click()


def test_all_that_match_are_started_after_their_number_is_typed(own: Own) -> None:
    own.insert(120, "ALL-", location="all")
    own.insert(1, "OTHER-")
    own.open("?location_id=all")
    expect(rows(own.page)).to_have_count(100)

    select_all(own, 120)
    press(own, "Start")
    question = own.page.get_by_role("dialog", name="Start 120 chargers?")
    expect(question).to_contain_text("and 115 more")
    action = question.get_by_role("button", name="Start 120 chargers")
    expect(action).to_be_disabled()
    question.get_by_role("textbox").fill("120")
    action.click()

    expect(own.page.get_by_role("group", name=re.compile("^Job"))).to_be_visible()
    expect(rows(own.page).first).to_contain_text("start requested")
    (job,) = own.client.get("/ocpp/jobs").json()["data"]
    assert (job["action"], job["total"]) == ("start", 120)


def test_a_number_that_changed_since_the_question_is_asked_about_again(
    own: Own, complaints: Complaints
) -> None:
    complaints.allow("422")  # the browser writes it to its console
    own.insert(26, "CNT-")
    own.open("?limit=25")
    expect(rows(own.page)).to_have_count(25)
    select_all(own, 26)
    press(own, "Start")
    question = own.page.get_by_role("dialog", name="Start 26 chargers?")
    question.get_by_role("textbox").fill("26")

    own.insert(1, "LATE-")
    question.get_by_role("button", name="Start 26 chargers").click()

    again = own.page.get_by_role("dialog", name="Start 27 chargers?")
    expect(again).to_contain_text("27")
    again.get_by_role("button", name="Cancel").click()
    assert own.client.get("/ocpp/jobs").json()["total"] == 0


def test_the_question_says_which_are_left_out_and_why(own: Own) -> None:
    own.insert(2, "RUN-", runs=True, link="accepted")
    own.insert(3, "STOP-")
    own.open()
    expect(rows(own.page)).to_have_count(5)

    own.page.get_by_role("checkbox", name="Select the page").check()
    press(own, "Stop")

    question = own.page.get_by_role("dialog", name="Stop 2 chargers?")
    expect(question).to_contain_text("The charger is stopped already: 3 chargers")


def test_a_job_that_would_do_nothing_is_not_asked_about(own: Own) -> None:
    own.insert(3, "STOP-")
    own.open()
    expect(rows(own.page)).to_have_count(3)
    own.page.get_by_role("checkbox", name="Select the page").check()

    press(own, "Stop")

    expect(own.page.get_by_role("status").filter(has_text="nothing to do")).to_be_visible()
    expect(own.page.get_by_role("dialog")).to_have_count(0)
