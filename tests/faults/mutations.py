"""python -m tests.faults.mutations: break the core in known ways, and see whether its tests notice.

Each mutation is made in a copy of the source. Prints the table of docs/reliability.md.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from embedded.postgres import running_postgres
from embedded.redis import running_redis

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "embedded", "shared", "simulator", "tests", "worker", "pyproject.toml")
MACHINE = "tests/worker/test_state_machine.py"
TESTS = (
    *("test_converge", "test_removal", "test_observe", "test_restart", "test_sweep"),
    *(
        "test_coalesce",
        "test_pool",
        "test_intake",
        "test_settling",
        "test_stale_answers",
        "test_budget",
        "test_turns",
        "test_late_logs",
        "test_beat",
        "test_prune",
        "test_links",
        "test_writing_links",
        "test_rollout",
        "test_rollout_mixed",
        "test_rollout_midway",
        "test_leftovers",
        "test_specs",
        "test_log_quota",
    ),
)
LINKS = "shared/migrations/versions/0012_give_links_rows_of_their_own.py"
RUNS = 60
SEED = 1
FAILED = re.compile(r"^FAILED \S+::(\w+)", re.MULTILINE)
BROKEN = re.compile(
    r"^\s*(?:\|\s*)*E?\s*(AssertionError: .+|\S*(?:Error|Violation|Failure)\b.*)", re.MULTILINE
)


@dataclass(frozen=True)
class Mutation:
    what: str
    file: str
    old: str  #: occurs once
    new: str


MUTATIONS = (
    Mutation(
        "the row is not read again after the call",
        "worker/reconcile/record.py",
        "        return _newest_wish(session.connection(), charger.id)\n    match",
        "        return None\n    match",
    ),
    Mutation(
        "what the first reading said is applied, not the row",
        "worker/reconcile/converge.py",
        "    while wish is not None:\n",
        "    told = wish.charger.desired_count if wish else 0\n"
        "    while wish is not None:\n        wish.charger.desired_count = told\n",
    ),
    Mutation(
        "a message is acted on though ECS has accepted it already",
        "worker/reconcile/record.py",
        "return None if done or early else wish",
        "return None if early else wish",
    ),
    Mutation(
        "`not_before` is ignored",
        "worker/reconcile/record.py",
        "return None if done or early else wish",
        "return None if done else wish",
    ),
    Mutation(
        "organizations that wait for the rate budget are served in the order of arrival",
        "worker/ecs/turns.lua",
        "math.max(round, score(ends, organization) or 0)",
        "math.max(redis.call('ZCARD', slots), score(ends, organization) or 0)",
    ),
    Mutation(
        "a start waits behind the creates and removals of its organization",
        "worker/ecs/turns.lua",
        "return place + priority / 1000",
        "return redis.call('ZCARD', queue) + priority / 1000",
    ),
    Mutation(
        "commands that come without end leave no turn for observing",
        "worker/ecs/turns.py",
        "            ahead, patience_s = 0, OBSERVE_PATIENCE_S\n",
        "            pass\n",
    ),
    Mutation(
        "a deadline runs while the rate budget holds a command back",
        "worker/reconcile/record.py",
        "_HELD_FOR = Command.held_for + func.coalesce(func.now() - Command.held_since, timedelta())",
        "_HELD_FOR = Command.held_for",
    ),
    Mutation(
        "task definitions that were deregistered before the budget ran out stay",
        "worker/ecs/client.py",
        "        return active | dict.fromkeys(",
        "        return active or dict.fromkeys(",
    ),
    Mutation(
        "a definition of other settings is adopted",
        "worker/ecs/client.py",
        "newest is not None and newest[1] == spec:",
        "newest is not None:",
    ),
    Mutation(
        "an upgrade restarts chargers whose definition would be made the same",
        "worker/ecs/client.py",
        'tags.get(SPEC_TAG) or digest(request_of(answer["taskDefinition"]))',
        'tags.get(SPEC_TAG, "")',
    ),
    Mutation(
        "the boot of an earlier task counts after a rollout of a first generation",
        "shared/fleet/links.py",
        "                Charger.rollout_at.is_(None),\n",
        "",
    ),
    Mutation(
        "a removed charger is forgotten with its frames before ECS was checked",
        "worker/maintenance/prune.py",
        "                RemovedCharger.checked_at.is_not(None),\n",
        "",
    ),
    Mutation(
        "the second worker to record a definition wins",
        "worker/reconcile/provision.py",
        ".where(Charger.id == charger.id, *unchanged)",
        ".where(Charger.id == charger.id)",
    ),
    Mutation(
        "a definition goes that was recorded meanwhile",
        "worker/maintenance/leftovers.py",
        "used = still.items() & chargers.items()",
        "used = chargers.items()",
    ),
    Mutation(
        "a removed charger is not checked for what a late call made",
        "worker/reconcile/record.py",
        "            _remember_removed(session, charger)\n",
        "",
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
        "a worker of other settings takes part in a rollout",
        "worker/reconcile/converge.py",
        "    if wish is not None and is_only_rolled_out(",
        "    if wish is None and is_only_rolled_out(",
    ),
    Mutation(
        "a worker of other settings ends a rollout",
        "worker/reconcile/record.py",
        "drifted_at=case((rollout_due, Charger.drifted_at), else_=None)",
        "drifted_at=None",
    ),
    Mutation(
        "a rollout goes on though nothing comes up",
        "worker/maintenance/rollout.py",
        "room = min(most, max(FIRST, proven) - under_way)",
        "room = most",
    ),
    Mutation(
        "a rollout keeps no rate",
        "worker/maintenance/rollout.py",
        "values(paced_at=paced_at + len(begun) * every)",
        "values(paced_at=paced_at)",
    ),
    Mutation(
        "a rollout ends for a charger when ECS accepts it",
        "worker/reconcile/current_task.py",
        " or is_redeployed(charger)",
        "",
    ),
    Mutation(
        "an observation from before a redeploy ends the rollout",
        "worker/observe/observe.py",
        "        seen.charger.task_definition_arn,\n    )",
        "        charger.task_definition_arn,\n    )",
    ),
    Mutation(
        "an answer from before a redeploy is taken for drift",
        "worker/observe/observe.py",
        "func.greatest(Command.applied_at, charger.rollout_at)",
        "Command.applied_at",
    ),
    Mutation(
        "a flood of frames is kept whole",
        "worker/observe/logs.py",
        "sorted(within_quota(session, ours, organization_of, most_bytes), key",
        "sorted(ours, key",
    ),
    Mutation(
        "a line that is read again is lost to the quota",
        "worker/observe/log_quota.py",
        'if key not in full or frame["event_id"] in stored:',
        "if key not in full:",
    ),
    Mutation(
        "the slow pass through the logs copies nothing",
        "worker/observe/logs.py",
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
        "shared/fleet/commands.py",
        "with_for_update(of=Charger, key_share=True, ",
        "with_for_update(of=Charger, ",
    ),
    Mutation(
        "a page of log lines keeps no charger from being forgotten",
        "worker/observe/links.py",
        "            .with_for_update(read=True, key_share=True)\n",
        "",
    ),
    Mutation(
        "two log readers take links in different orders",
        "worker/observe/links.py",
        "for key in sorted(links)",
        "for key in links",
    ),
    Mutation(
        "the notes on links wait for a charger that somebody holds",
        "worker/observe/links.py",
        ".with_for_update(key_share=True, skip_locked=True)",
        ".with_for_update(key_share=True)",
    ),
    Mutation(
        "a task that was wrongly seen to end is not found again",
        "worker/observe/links.py",
        "                Charger.running_task_ended_at.is_not(None),\n",
        "",
    ),
    Mutation(
        "an answer from before the previous command finishes the newest",
        "worker/observe/observe.py",
        " and not _may_be_older(session, timing, charger, seen)",
        "",
    ),
    Mutation(
        "an answer from before the newest command is taken for drift",
        "worker/observe/observe.py",
        "    if applied_at is not None and seen.at < applied_at",
        "    if False and seen.at < applied_at",
    ),
    Mutation(
        "a restart believes a list of tasks that is some seconds old",
        "worker/reconcile/provision.py",
        "        if task is not None and task.running:\n            return known\n",
        "",
    ),
    Mutation(
        "the sweep publishes nothing", "worker/maintenance/sweep.py", "    if chargers:\n", "    if False:\n"
    ),
    Mutation(
        "the sweep adds to a queue that nobody serves",
        "worker/maintenance/sweep.py",
        "max_waiting=MOST_WAITING",
        "max_waiting=1_000_000",
    ),
    Mutation(
        "beat adds to a queue that nobody serves",
        "worker/broker/beat.py",
        "        tasks = tasks - self._may_wait\n",
        "",
    ),
    Mutation(
        "a charger's newest command is forgotten",
        "worker/maintenance/prune.py",
        " AND generation < portion.generation AND status",
        " AND status",
    ),
    Mutation(
        "open commands are forgotten",
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
        "worker/observe/observe.py",
        "if seen.differs and charger.drifted_at is None:",
        "if False:",
    ),
    Mutation(
        "a command succeeds when ECS takes it, without an observation",
        "worker/reconcile/record.py",
        "    if told is None:\n        return False\n    event =",
        "    if told is None:\n        return False\n"
        "    with sessions.begin() as session:\n"
        "        session.execute(\n            update(Charger)\n            .where(Charger.id == charger.id)\n"
        "            .values(settled_generation=Charger.generation)\n        )\n"
        "        session.execute(\n            update(Command)\n"
        "            .where(Command.id == charger.newest_command_id)\n"
        "            .values(status=CommandStatus.SUCCEEDED)\n        )\n"
        "    event =",
    ),
    Mutation(
        "an observation from before the last call finishes a command",
        "worker/observe/observe.py",
        "if in_flight or changed:",
        "if in_flight:",
    ),
    Mutation(
        "an older observation replaces a newer one",
        "worker/observe/observe.py",
        "            or_(Charger.observed_at.is_(None), Charger.observed_at <= seen.at),\n",
        "",
    ),
    Mutation(
        "a restart's task is recorded without compare-and-set",
        "worker/reconcile/provision.py",
        "                Charger.restart_task_generation < generation,\n",
        "",
    ),
    Mutation(
        "a restart stops whatever runs at the time",
        "worker/reconcile/provision.py",
        "        return charger.restart_task_arn\n",
        "        return ecs.current_task(charger.id)\n",
    ),
    Mutation(
        "a restart succeeds while its old task runs",
        "worker/observe/observe.py",
        "{charger.id: charger.restart_task_arn for charger in chargers if restarting(charger)}",
        "dict[str, str | None]()",
    ),
    Mutation(
        "a command succeeds when its task is seen running for the first time",
        "worker/observe/observe.py",
        "    if is_new or charger.running_since is None:\n        return False\n    return seen.at >= ",
        "    return True or seen.at >= ",
    ),
    Mutation(
        "a task of an older definition counts as the new one",
        "worker/reconcile/current_task.py",
        " and task.task_definition_arn == charger.task_definition_arn",
        "",
    ),
    Mutation(
        "older commands stay open",
        "worker/reconcile/record.py",
        "    _supersede_older(session, charger)\n    if",
        "    if",
    ),
    Mutation(
        "`observed_generation` may fall",
        "worker/reconcile/record.py",
        "max(charger.observed_generation, wish.charger.generation)",
        "wish.charger.generation",
    ),
    Mutation(
        "a delayed command is not published again (a CHECK forbids it)",
        "worker/reconcile/record.py",
        "    charger.not_before = func.now() + timedelta(seconds=delay_s)\n"
        "    charger.publish_at = charger.not_before\n",
        "    charger.not_before = func.now() + timedelta(seconds=delay_s)\n    charger.publish_at = None\n",
    ),
    Mutation(
        "the row is locked during the call",
        "worker/reconcile/converge.py",
        "        outcome = attempt(sessions, ecs, wish)\n",
        "        with sessions.begin() as session:\n"
        "            session.get(Charger, wish.charger.id, with_for_update=True)\n"
        "            outcome = attempt(sessions, ecs, wish)\n",
    ),
    Mutation(
        "what a late call made of a forgotten charger stays",
        "worker/reconcile/record.py",
        "        return _removal_of_leftovers(session, wish)\n",
        "        return None\n",
    ),
    Mutation(
        "a deleted charger is forgotten while its task still runs",
        "worker/reconcile/provision.py",
        "    if rest is not None:\n",
        "    if False:\n",
    ),
    Mutation(
        "a draining service is deleted again each time",
        "worker/reconcile/provision.py",
        "rest = ecs.rest_of_service(charger.id) if deleted else ecs.delete_service(charger.id)",
        "rest = ecs.delete_service(charger.id)",
    ),
    Mutation(
        "a charger does not wait for its deleted namesake",
        "worker/reconcile/provision.py",
        "    if blocked:\n",
        "    if False:\n",
    ),
    Mutation(
        "a hint about a charger that is under way is forgotten",
        "worker/reconcile/coalesce.py",
        "                flights[-1].again = True\n",
        "",
    ),
    Mutation(
        "each hint about a charger takes one more thread",
        "worker/reconcile/coalesce.py",
        "            if flights and (",
        "            if False and (",
    ),
    Mutation(
        "a message that breaks Celery itself keeps its place in the worker",
        "worker/broker/pool.py",
        "                error_callback(ExceptionInfo())\n",
        "",
    ),
)


def main() -> None:
    wanted = sys.argv[1:]
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
                if not wanted or any(word in mutation.what for word in wanted):
                    by_machine, by_test = try_out(mutation, folder / "copy", servers)
                    unnoticed += not (by_machine or by_test)
                    noticed = "yes" if by_machine else "-"
                    print(f"| {mutation.what} | {noticed} | {by_test or '-'} |", flush=True)
                    print(by_machine, file=sys.stderr)
    sys.exit(f"{unnoticed} mutations went unnoticed" if unnoticed else 0)


def try_out(mutation: Mutation, copy: Path, servers: dict[str, str]) -> tuple[str, str]:
    """What the state machine says of it, and the name of the first other test that fails; empty if none."""
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
    machine = run_tests(copy, servers, MACHINE, "-m", "slow")
    others = run_tests(copy, servers, *(f"tests/worker/{name}.py" for name in TESTS))
    failed = FAILED.search(others)
    return complaint(machine), f"`{failed[1]}`" if failed else ""


def run_tests(copy: Path, servers: dict[str, str], *arguments: str) -> str:
    environment = os.environ | servers
    environment |= {
        "STATE_MACHINE_SEED": str(SEED),
        "STATE_MACHINE_RUNS": str(RUNS),
        "STATE_MACHINE_SHRINK": "0",
    }
    environment["PYTHONPATH"] = str(copy)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "-p", "no:randomly", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def complaint(output: str) -> str:
    """The state machine's words, cut to a line."""
    if not FAILED.search(output):
        return ""
    found = BROKEN.search(output)
    return (found[1] if found else "fails").replace("|", "/").removeprefix("AssertionError: ")[:90]


if __name__ == "__main__":
    main()
