"""python -m tests.faults.mutations [--quick] [WORD...]: break the core in known ways, and see whether its tests notice.

Each mutation is made in a copy of the source. Prints the table of docs/reliability.md. With words, only the mutations whose
description or file has one of them. With --quick, each one against the test that the table names, or the state machine
where it names none: minutes instead of hours.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from embedded.postgres import running_postgres
from embedded.redis import running_redis
from tests.faults.action_mutations import ACTION_MUTATIONS
from tests.faults.core_mutations import CORE_MUTATIONS, Mutation
from tests.faults.host_mutations import HOST_MUTATIONS

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "embedded", "link", "shared", "simulator", "tests", "worker", "pyproject.toml")
MACHINE = "tests/worker/reconcile/test_state_machine.py"
# Test files, wherever they are below tests/worker.
TESTS = (
    "converge removal observe restart held_back sweep coalesce pool intake settling stale_answers budget budget_use turns "
    "late_logs beat prune expire links writing_links rollout rollout_mixed rollout_midway leftovers specs log_quota"
)
LINKS = "shared/migrations/versions/0012_give_links_rows_of_their_own.py"
RUNS = 60
SEED = 1
FAILED = re.compile(r"^FAILED \S+::(\w+)", re.MULTILINE)
ROW = re.compile(r"^\| (.+?) \| .+? \| (?:`(\w+)`|-) \|$", re.MULTILINE)
BROKEN = re.compile(
    r"^\s*(?:\|\s*)*E?\s*(AssertionError: .+|\S*(?:Error|Violation|Failure)\b.*)", re.MULTILINE
)

MUTATIONS = (
    *CORE_MUTATIONS,
    *ACTION_MUTATIONS,
    *HOST_MUTATIONS,
    Mutation(
        "the boot of an earlier task counts after a rollout of a first generation",
        "shared/fleet/links.py",
        "            Charger.rollout_at.is_(None),\n",
        "",
    ),
    Mutation(
        "a removed charger is pruned with its frames before ECS was checked",
        "worker/maintenance/prune.py",
        "            RemovedCharger.checked_at.is_not(None),\n",
        "",
    ),
    Mutation(
        "a definition goes that was recorded meanwhile",
        "worker/maintenance/leftovers.py",
        "used = still.items() & chargers.items()",
        "used = chargers.items()",
    ),
    Mutation(
        "the settings that came first are the fleet's",
        "shared/fleet/spec.py",
        "FleetSpec.since.desc()",
        "FleetSpec.since",
    ),
    Mutation(
        "settings that come back do not come last",
        "worker/maintenance/rollout.py",
        '"since": case((came_back, func.now()), else_=FleetSpec.since)',
        '"since": FleetSpec.since',
    ),
    Mutation(
        "a rollout goes on though nothing comes up",
        "worker/maintenance/rollout.py",
        "allowed = min(max_chargers, max(FIRST, proven) - in_progress)",
        "allowed = max_chargers",
    ),
    Mutation(
        "a rollout keeps no rate",
        "worker/maintenance/rollout.py",
        "values(paced_at=paced_at + len(begun) * every)",
        "values(paced_at=paced_at)",
    ),
    Mutation(
        "a rollout ends for a charger when ECS accepts it",
        "worker/observe/current_task.py",
        " or is_redeployed(charger)",
        "",
    ),
    Mutation(
        "an observation from before a redeploy ends the rollout",
        "worker/observe/record.py",
        "        observation.charger.task_definition_arn,\n    )",
        "        charger.task_definition_arn,\n    )",
    ),
    Mutation(
        "an answer from before a redeploy is taken for drift",
        "worker/observe/settle.py",
        "func.greatest(Command.applied_at, charger.rollout_at)",
        "Command.applied_at",
    ),
    Mutation(
        "a flood of frames is kept whole",
        "worker/logs/page.py",
        "sorted(within_quota(session, frames, organization_of, max_bytes_per_day), key",
        "sorted(frames, key",
    ),
    Mutation(
        "a flood of remarks is kept whole",
        "worker/logs/lines.py",
        "% DELETE_AT == 0}",
        "% DELETE_AT == -1}",
    ),
    Mutation(
        "a line that is read again is lost to the quota",
        "worker/logs/quota.py",
        'if key not in full or frame["event_id"] in stored:',
        "if key not in full:",
    ),
    Mutation(
        "the slow pass through the logs copies nothing",
        "worker/logs/read.py",
        "_ingested_since(page, ingested_since_ms)",
        "replace(page, events=[])",
    ),
    Mutation(
        "of a link, the newest line by the clock is shown, whichever task runs",
        LINKS,
        "ORDER BY runs DESC, may_run DESC, ",
        "ORDER BY ",
    ),
    Mutation(
        "the log of a task that was seen to end still counts",
        LINKS,
        "                AND NOT coalesce(running_task_ended_at > running_since, false) AS runs",
        "                AS runs",
    ),
    Mutation(
        "a charger is linked though nothing runs",
        LINKS,
        "WHEN running_count = 0 THEN 'disc",
        "WHEN false THEN 'disc",
    ),
    Mutation(
        "frames prove no link",
        LINKS,
        "coalesce(links.last_frame_at > coalesce(links.since, '-infinity'), false)",
        "false",
    ),
    Mutation(
        "a command waits until a page of log lines is written",
        "shared/fleet/scope.py",
        "with_for_update(key_share=True)",
        "with_for_update()",
    ),
    Mutation(
        "a page of log lines does not lock its chargers against removal",
        "worker/logs/links.py",
        "            .with_for_update(read=True, key_share=True)\n",
        "",
    ),
    Mutation(
        "two log readers take links in different orders",
        "worker/logs/links.py",
        "for key in sorted(links)",
        "for key in links",
    ),
    Mutation(
        "applying links waits for a charger that another transaction holds",
        "worker/logs/apply_links.py",
        ".with_for_update(key_share=True, skip_locked=True)",
        ".with_for_update(key_share=True)",
    ),
    Mutation(
        "a task that was wrongly seen to end is not found again",
        "worker/logs/apply_links.py",
        "                Charger.running_task_ended_at.is_not(None),\n",
        "",
    ),
    Mutation(
        "an answer from before the previous command finishes the newest",
        "worker/observe/record.py",
        " and not may_be_older(session, timing, charger, observation)",
        "",
    ),
    Mutation(
        "an answer from before the newest command is taken for drift",
        "worker/observe/settle.py",
        "    if applied_at is not None and observation.at < applied_at",
        "    if False and observation.at < applied_at",
    ),
    Mutation(
        "the sweep publishes nothing", "worker/maintenance/sweep.py", "    if chargers:\n", "    if False:\n"
    ),
    Mutation(
        "the sweep adds to a queue that nobody serves",
        "worker/maintenance/sweep.py",
        "max_waiting=MAX_WAITING",
        "max_waiting=1_000_000",
    ),
    Mutation(
        "beat adds to a queue that nobody serves",
        "worker/broker/beat.py",
        "        tasks = tasks - self._may_wait\n",
        "",
    ),
    Mutation(
        "a charger goes away before its time",
        "worker/maintenance/expire.py",
        "Charger.expires_at <= func.now()",
        "Charger.expires_at.is_not(None)",
    ),
    Mutation(
        "a charger goes away though its time is extended at that moment",
        "worker/maintenance/expire.py",
        "        .with_for_update(key_share=True, skip_locked=True)\n",
        "",
    ),
    Mutation(
        "a charger's newest command is pruned",
        "worker/maintenance/prune.py",
        " AND generation < portion.generation AND status",
        " AND status",
    ),
    Mutation(
        "open commands are pruned",
        "worker/maintenance/prune.py",
        "status <> ALL (:open)\n",
        "(status <> ALL (:open)) IS NOT NULL\n",
    ),
    Mutation(
        "the sweep does not put back what the broker did not take",
        "worker/maintenance/sweep.py",
        ".values(publish_at=func.now())\n            )",
        ".values(publish_at=None)\n            )",
    ),
    Mutation(
        "drift is not repaired",
        "worker/observe/record.py",
        "if observation.differs and charger.drifted_at is None:",
        "if False:",
    ),
    Mutation(
        "an observation from before the last call finishes a command",
        "worker/observe/record.py",
        "if in_flight or changed:",
        "if in_flight:",
    ),
    Mutation(
        "an older observation replaces a newer one",
        "worker/observe/record.py",
        "            or_(Charger.observed_at.is_(None), Charger.observed_at <= observation.at),\n",
        "",
    ),
    Mutation(
        "a restart succeeds while its old task runs",
        "worker/observe/describe.py",
        "{charger.id: charger.restart_task_arn for charger in chargers if is_restarting(charger)}",
        "dict[str, str | None]()",
    ),
    Mutation(
        "a command succeeds when its task is seen running for the first time",
        "worker/observe/settle.py",
        "    if is_new or charger.running_since is None:\n        return False\n    return observation.at >= ",
        "    return True or observation.at >= ",
    ),
    Mutation(
        "a task of an older definition counts as the new one",
        "worker/observe/current_task.py",
        " and task.task_definition_arn == charger.task_definition_arn",
        "",
    ),
    Mutation(
        "a message that breaks Celery itself keeps its place in the worker",
        "worker/broker/pool.py",
        "                error_callback(ExceptionInfo())\n",
        "",
    ),
)


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--quick"]
    try_one = try_quickly if "--quick" in sys.argv else try_out
    with TemporaryDirectory(prefix="chargehand-mutations-") as name:
        folder = Path(name)
        with running_postgres(folder / "postgres") as database, running_redis(folder / "redis") as broker:
            servers = {"DATABASE_URL": database.replace("+psycopg", ""), "REDIS_URL": broker}
            print(
                f"| mutation | seen by the state machine, {RUNS} runs of seed {SEED} | first test that fails |"
            )
            print("|---|---|---|", flush=True)
            unnoticed = 0
            for mutation in MUTATIONS:
                if not words or any(word in mutation.what or word in mutation.file for word in words):
                    by_machine, by_test = try_one(mutation, folder / "copy", servers)
                    unnoticed += not (by_machine or by_test)
                    noticed = "yes" if by_machine else "-"
                    print(f"| {mutation.what} | {noticed} | {by_test or '-'} |", flush=True)
                    print(by_machine, file=sys.stderr)
    sys.exit(f"{unnoticed} mutations went unnoticed" if unnoticed else 0)


def try_out(mutation: Mutation, copy: Path, servers: dict[str, str]) -> tuple[str, str]:
    """The state machine's complaint, and the name of the first other test that fails; empty if none."""
    mutate(mutation, copy)
    machine = run_tests(copy, servers, MACHINE, "-m", "slow")
    others = run_tests(copy, servers, *(test_file(name) for name in TESTS.split()))
    failed = FAILED.search(others)
    return complaint(machine), f"`{failed[1]}`" if failed else ""


def try_quickly(mutation: Mutation, copy: Path, servers: dict[str, str]) -> tuple[str, str]:
    """The same, of the one test that docs/reliability.md names for it."""
    mutate(mutation, copy)
    name = dict(ROW.findall((ROOT / "docs/reliability.md").read_text()))[mutation.what]
    if not name:
        return complaint(run_tests(copy, servers, MACHINE, "-m", "slow")), ""
    failed = FAILED.search(run_tests(copy, servers, f"{file_of(name)}::{name}", "-m", "slow or not slow"))
    return "", f"`{failed[1]}`" if failed else ""


def mutate(mutation: Mutation, copy: Path) -> None:
    """Copy the source, with the mutation in it."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for package in PACKAGES:
        source = ROOT / package
        if source.is_dir():
            shutil.copytree(source, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    file = copy / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        sys.exit(f"{mutation.what}: {mutation.file} has changed, and this mutation must follow")
    file.write_text(text.replace(mutation.old, mutation.new))


def test_file(name: str) -> str:
    """The path of a test file below tests/worker, whichever folder it is in."""
    [path] = (ROOT / "tests/worker").rglob(f"test_{name}.py")
    return str(path.relative_to(ROOT))


def file_of(name: str) -> str:
    """The path of the test of this name."""
    [path] = (
        path for path in (ROOT / "tests").rglob("test_*.py") if f"def {name}(" in path.read_text("utf-8")
    )
    return str(path.relative_to(ROOT))


def run_tests(copy: Path, servers: dict[str, str], *arguments: str) -> str:
    environment = os.environ | servers
    environment |= {
        "STATE_MACHINE_SEED": str(SEED),
        "STATE_MACHINE_RUNS": str(RUNS),
        "STATE_MACHINE_SHRINK": "0",
    }
    environment["PYTHONPATH"] = str(copy)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "-p", "no:randomly", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0 and not FAILED.search(ended.stdout):
        print(f"No test failed, but pytest ended with {ended.returncode}:", file=sys.stderr)
        print(ended.stdout[-2000:], ended.stderr[-2000:], file=sys.stderr)
    return ended.stdout


def complaint(output: str) -> str:
    """The state machine's assertion, cut to a line. Empty if it did not fail."""
    if not FAILED.search(output):
        return ""
    found = BROKEN.search(output)
    return (found[1] if found else "fails").replace("|", "/").removeprefix("AssertionError: ")[:90]


if __name__ == "__main__":
    main()
