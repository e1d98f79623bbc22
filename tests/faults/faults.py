"""Inflict faults on the product while clients call it. The numbers are those of the list in docs/reliability.md."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.ecs_faults import (
    changed_by_hand,
    ecs_restarted,
    late_ghosts,
    slow_for_some,
    with_rules,
    within_quotas,
)
from tests.faults.process_faults import (
    frozen_worker,
    kill_all_workers,
    kill_api_at_random,
    kill_api_before_it_publishes,
    kill_between_call_and_record,
    kill_workers_by_turns,
    no_worker_then_four,
    rolling_deployment,
    workers_cut_from_the_database,
)
from tests.faults.scene import NO_ANSWER, UNAVAILABLE, Scene
from tests.faults.store_faults import (
    database_frozen,
    database_full_of_others,
    database_restarted,
    messages_shuffled,
    poison,
    redis_down,
    redis_fails_over,
    redis_flushed,
    redis_frozen,
    redis_full,
    redis_restarted_empty,
    redis_slow,
)


@dataclass(frozen=True)
class Fault:
    name: str
    inflict: Callable[[Scene], None]  #: returns when the fault is over
    slow: bool = True
    allows: tuple[int, ...] = ()  #: statuses that clients may get from it, besides 202
    chargers: int = 50
    copies: int = 0  #: of each message, sent by the clients themselves
    clients: int = 4
    pause_s: float = 0.1
    p99_s: float | None = None  #: bar on the accepting calls
    slowest_s: float | None = None


def nothing(scene: Scene) -> None:
    scene.until_accepted(100)


def everything(scene: Scene) -> None:
    """One after another, at random."""
    choices = [fault.inflict for fault in FAULTS if fault.inflict is not everything]
    for inflict in scene.dice.sample(choices, 6):
        inflict(scene)
        scene.rig.mend()


FAULTS = [
    Fault("F00 nothing", nothing),
    Fault("F01 worker kill -9, by turns", kill_workers_by_turns),
    Fault("F02 all workers kill -9", kill_all_workers, slow=False),
    Fault("F03 kill -9 between ECS call and record", kill_between_call_and_record),
    Fault(
        "F04 API kill -9 before it publishes", kill_api_before_it_publishes, slow=False, allows=(NO_ANSWER,)
    ),
    Fault("F05 API worker kill -9 at random", kill_api_at_random, allows=(NO_ANSWER,)),
    Fault("F06 Redis down", redis_down, slow=False, p99_s=1, slowest_s=3),
    Fault("F07 Redis frozen", redis_frozen, p99_s=1, slowest_s=3),
    Fault("F08 Redis restarted empty, 200 commands open", redis_restarted_empty),
    Fault("F09 Redis flushed, 8 times", redis_flushed),
    Fault("F10 Redis out of memory", redis_full, p99_s=1, slowest_s=3),
    Fault("F11 PostgreSQL restarted at once", database_restarted, allows=(UNAVAILABLE,)),
    Fault("F12 PostgreSQL frozen", database_frozen, allows=(UNAVAILABLE,), slowest_s=20),
    Fault("F13 PostgreSQL out of connections", database_full_of_others, allows=(UNAVAILABLE,)),
    Fault("F15 ECS throttles 90 %", with_rules({"kind": "throttle", "probability": 0.9})),
    Fault(
        "F16 ECS answers 500 and 503, 70 %",
        with_rules(
            {"kind": "error", "status": 500, "probability": 0.45},
            {"kind": "error", "status": 503, "probability": 0.45},
        ),
    ),
    Fault("F17 ECS takes 30 s for some", slow_for_some),
    Fault(
        "F18 ECS does it, its answer is lost, 50 %",
        with_rules({"kind": "apply_then_cut", "probability": 0.5}, accepted=80),
        slow=False,
    ),
    Fault(
        "F19 ECS answers cut, empty or MISSING",
        with_rules(
            {"kind": "truncated", "probability": 0.2},
            {"kind": "empty", "probability": 0.2},
            {"kind": "missing", "probability": 0.3},
        ),
    ),
    Fault("F20 ECS calls that take effect 4 s late", late_ghosts),
    Fault("F38 ECS answers with what was true 3 s ago", with_rules({"kind": "stale", "seconds": 3})),
    Fault("F39 ECS's quotas, budget on", within_quotas),
    Fault("F21 every message five times", nothing, copies=4),
    Fault("F22 messages shuffled", messages_shuffled, slow=False),
    Fault(
        "F23 conflicts on 5 chargers",
        lambda scene: scene.until_accepted(300, 60),
        chargers=5,
        clients=8,
        pause_s=0.02,
    ),
    Fault("F26 poison messages", poison),
    Fault("F27 workers 2, 0, 4, 0, 2", no_worker_then_four),
    Fault("F28 rolling deployment", rolling_deployment),
    Fault("F29 worker frozen and gone on", frozen_worker),
    Fault("F30 ECS kill -9 and back", ecs_restarted),
    Fault("F31 changed by hand", changed_by_hand, slow=False),
    Fault("F35 workers cut from the database", workers_cut_from_the_database),
    Fault("F36 Redis answers 300 ms late", redis_slow),
    Fault("F37 Redis fails over", redis_fails_over, p99_s=1, slowest_s=3),
    Fault("F34 six of them at random", everything, allows=(UNAVAILABLE, NO_ANSWER)),
]
