"""`chargehand jobs`, and commands for chargers that become one job."""

import pytest

from tests.cli.conftest import NOBODY, Run


@pytest.fixture
def two(run: Run, name: str) -> str:
    """The prefix of two chargers that run."""
    done = run(
        *("chargers", "create", f"{name}-{{n}}", "--count", "2", "--ws-url", NOBODY),
        *("--until", "final", "--timeout", "60"),
    )
    assert done.status == 0, done.err
    return name


def test_chargers_are_stopped_by_one_job_that_is_then_shown(run: Run, two: str) -> None:
    preview = run("chargers", "stop", "--all", "--search", two, "--dry-run")
    stopped = run("chargers", "stop", "--all", "--search", two, "--rate", "10", "--json", "--timeout", "60")
    again = run("chargers", "stop", "--all", "--search", two, "--dry-run", "--json")

    assert (preview.status, preview.out.splitlines()[0].split()) == (0, ["Chargers", "2"])
    assert stopped.status == 0, stopped.err
    job = stopped.json
    assert (job["status"], job["counts"]["succeeded"], job["rate_per_second"]) == ("finished", 2, 10)
    assert [(item["reason_code"], item["count"]) for item in again.json["left_out"]] == [
        ("already_stopped", 2)
    ]
    listed = run("jobs", "list", "--status", "finished", "--action", "stop", "--json").json
    assert job["id"] in {row["id"] for row in listed}
    shown = run("jobs", "show", job["id"], "--result", "succeeded")
    assert shown.out.count(f"{two}-") == 2
    assert "2 of 2 done" in run("jobs", "wait", job["id"]).out
    report = run("jobs", "report", job["id"])
    assert (report.status, report.out.splitlines()[0].split()) == (0, ["Chargers", "2"])
    assert run("jobs", "report", job["id"], "--json").json["outcomes"]["passed"] == 2


def test_a_job_is_paused_resumed_and_cancelled(run: Run, two: str) -> None:
    job_id = run(
        *("chargers", "restart", "--all", "--search", two, "--rate", "0.01", "--no-wait", "--quiet")
    ).out.strip()

    paused = run("jobs", "pause", job_id)
    resumed = run("jobs", "resume", job_id, "--json")
    cancelled = run("jobs", "cancel", job_id, "--json")
    ended = run("jobs", "wait", job_id, "--timeout", "60", "--json")
    nothing = run("jobs", "retry", job_id)
    late = run("jobs", "pause", job_id)

    assert "Paused by" in paused.out
    assert (resumed.json["status"], cancelled.json["status"]) == ("running", "cancelled")
    counts = ended.json["counts"]
    assert (ended.status, sum(counts.values())) == (0, 2)
    assert (counts["waiting"], counts["requested"]) == (0, 0)
    # Each beginning of a ramp has a first command: workers may have recorded the second after the resumption.
    assert counts["cancelled"] == 2 - counts["succeeded"] - counts["superseded"]
    assert (nothing.status, "no failed item" in nothing.err) == (1, True)
    assert (late.status, "is cancelled" in late.err) == (1, True)


def test_a_job_that_does_not_end_in_time_is_a_time_out(run: Run, two: str) -> None:
    done = run(
        *("chargers", "restart", "--all", "--search", two, "--rate", "0.01", "--timeout", "1"), "--yes"
    )

    assert done.status == 3
    assert "1 of 2 done" in done.err or "0 of 2 done" in done.err
    job_id = run("jobs", "list", "--json").json[0]["id"]
    run("jobs", "cancel", job_id)


@pytest.mark.parametrize(
    "arguments", [("show",), ("show", "--result", "failed"), ("wait",), ("cancel",), ("report",)]
)
def test_a_text_that_is_no_id_of_a_job_is_named(run: Run, arguments: tuple[str, ...]) -> None:
    done = run("jobs", *arguments, "ci-1234")

    assert done.status == 1
    assert "ci-1234 is no id of a job" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("chargers", "stop", "--dry-run"),
        ("chargers", "stop", "CP-1", "--all", "--dry-run"),
        ("chargers", "stop", "--search", "CP", "--dry-run"),
        ("chargers", "stop", "--all", "--job"),
        ("chargers", "stop", "CP-1", "--rate", "0"),
    ],
)
def test_what_is_not_clear_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).status == 2
