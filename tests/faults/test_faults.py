"""Whatever breaks, no accepted command is lost, and every service ends as last requested."""

import os
import random
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from tests.faults.checker import Verdict, Watcher, judge, read_rows, wait_until_settled
from tests.faults.faults import FAULTS, Fault
from tests.faults.load import Answer, Load
from tests.faults.rig import Rig
from tests.faults.scene import UNAVAILABLE, Scene

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
CONVERGES_WITHIN_S = 30  # from the end of the fault, on a busy machine too
WAIT_S = 60  # for convergence: longer, so that late and never differ


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name, marks=[pytest.mark.slow] if fault.slow else []) for fault in FAULTS],
)
def test_no_command_is_lost_and_the_newest_one_holds(rig: Rig, verdicts: list[Verdict], fault: Fault) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={seed}")
    verdict = Verdict(fault.name, seed)
    verdicts.append(verdict)
    wait_until_settled(rig, ALWAYS, WAIT_S)
    with rig.engine.connect() as connection:
        since = connection.scalars(select(func.now())).one()
    before = read_rows(rig.engine, since)
    load = Load(
        rig, seed, chargers=fault.chargers, clients=fault.clients, pause_s=fault.pause_s, copies=fault.copies
    )

    with Watcher(rig.engine, since) as watcher:
        try:
            with load:
                fault.inflict(Scene(rig, load, random.Random(seed)))
        finally:
            rig.mend()
        verdict.converged_s = wait_until_settled(rig, since, WAIT_S)
    if verdict.converged_s is None:
        rig.start_over()
    verdict.wrong += watcher.seen
    judge(verdict, rig, before, load.answers, since)
    refused = [answer for answer in load.answers if answer.status != 202]
    verdict.not_allowed = [repr(answer) for answer in refused if not allowed(fault, answer)]
    verdict.refused = len(refused) - len(verdict.not_allowed)

    assert verdict.lost == 0
    assert verdict.wrong == []
    assert verdict.twice == 0
    assert verdict.not_allowed == []
    assert verdict.converged_s is not None
    assert verdict.converged_s <= CONVERGES_WITHIN_S
    assert fault.p99_s is None or verdict.p99_s <= fault.p99_s
    assert fault.slowest_s is None or verdict.slowest_s <= fault.slowest_s


def allowed(fault: Fault, answer: Answer) -> bool:
    """A 503 says when to try again."""
    return answer.status in fault.allows and (answer.status != UNAVAILABLE or answer.retry_after is not None)
