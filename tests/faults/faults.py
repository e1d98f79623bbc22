"""Inflict faults on the product while clients call it. The numbers are those of the list in docs/reliability.md."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.queues import Queue
from tests.embedded.waiting import wait_until
from tests.faults.load import Load
from tests.faults.poison import POISON
from tests.faults.rig import CLUSTER, Rig

UNAVAILABLE = 503  # with Retry-After: the database does not answer
NO_ANSWER = 0  # the connection ended


@dataclass(frozen=True)
class Scene:
    """The product and its clients under a fault, with dice of its own, so that a seed repeats it."""

    rig: Rig
    load: Load
    dice: random.Random

    def until_accepted(self, count: int, within_s: float = 20) -> None:
        """Wait for this many more accepted commands."""
        enough = len(self.load.accepted) + count
        wait_until(lambda: len(self.load.accepted) >= enough, within_s, f"{count} more commands accepted")

    def until_unavailable(self, count: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait for this many answers that the database is unavailable."""

        def enough() -> bool:
            meanwhile()
            return sum(answer.status == UNAVAILABLE for answer in list(self.load.answers)) >= count

        wait_until(enough, 60, f"{count} answers of 503")


@dataclass(frozen=True)
class Fault:
    name: str
    inflict: Callable[[Scene], None]  #: returns when the fault is over
    slow: bool = True
    allows: tuple[int, ...] = ()  #: statuses that clients may get from it, besides 202
    converges_within_s: float = 15
    chargers: int = 50
    copies: int = 0  #: of each message, sent by the clients themselves
    clients: int = 4
    pause_s: float = 0.1
    p99_s: float | None = None  #: bar on the accepting calls
    slowest_s: float | None = None


def nothing(scene: Scene) -> None:
    scene.until_accepted(100)


# Workers.


def kill_workers_by_turns(scene: Scene) -> None:
    for _ in range(6):
        part = scene.dice.choice(scene.rig.workers)
        scene.until_accepted(scene.dice.randrange(5, 15))
        part.kill()
        part.start()


def kill_all_workers(scene: Scene) -> None:
    scene.until_accepted(30)
    for part in scene.rig.workers:
        part.kill()
    scene.until_accepted(30)
    for part in scene.rig.workers:
        part.start()


def kill_between_call_and_record(scene: Scene) -> None:
    """ECS has made the change, and the worker is killed before the answer."""
    held = {"kind": "apply_then_delay", "action": "UpdateService", "seconds": 5}
    for _ in range(2):
        scene.rig.ecs.set_faults(held)
        wait_until(lambda: scene.rig.ecs.faults()[0]["applied"] >= 3, 20, "calls are held")
        for part in scene.rig.workers:
            part.kill()
        scene.rig.ecs.set_faults()
        for part in scene.rig.workers:
            part.start()
        scene.until_accepted(20)


def no_worker_then_four(scene: Scene) -> None:
    for part in scene.rig.workers:
        part.stop()
    scene.until_accepted(60)
    more = [scene.rig.worker(number) for number in (3, 4)]
    for part in (*scene.rig.workers, *more):
        part.start()
    scene.until_accepted(60)
    for part in (*scene.rig.workers, *more):
        part.stop()
    scene.until_accepted(30)
    for part in scene.rig.workers:
        part.start()


def rolling_deployment(scene: Scene) -> None:
    for part in scene.rig.workers:
        scene.until_accepted(15)
        part.stop()
        part.start()
    scene.rig.beat.stop()
    scene.rig.beat.start()
    before = {process.pid for process in scene.rig.api.family()}
    scene.rig.api.signal(signal.SIGHUP)
    wait_until(
        lambda: len({process.pid for process in scene.rig.api.family()} & before) == 1,
        40,
        "the API is replaced",
    )
    scene.until_accepted(15)


def frozen_worker(scene: Scene) -> None:
    """Other workers do its work meanwhile; then its old calls continue."""
    part = scene.rig.workers[0]
    scene.rig.ecs.set_faults({"kind": "delay", "action": "*Service", "seconds": 0.3})
    for _ in range(2):
        scene.until_accepted(20)
        part.freeze()
        scene.until_accepted(100)
        part.thaw()
    scene.rig.ecs.set_faults()


def workers_cut_from_the_database(scene: Scene) -> None:
    line = scene.rig.workers_to_postgres
    for hurt in (line.cut, line.freeze):
        scene.until_accepted(20)
        hurt()
        scene.until_accepted(60)
        line.heal()


# The API.


def kill_api_before_it_publishes(scene: Scene) -> None:
    """The commands are committed, and their messages are still in its memory."""
    for _ in range(2):
        scene.rig.api_to_redis.freeze()
        scene.until_accepted(20)
        scene.rig.api.kill()
        scene.rig.api_to_redis.cut()
        scene.rig.api_to_redis.heal()
        scene.rig.api.start()
        scene.rig.api.wait_until_ready()


def kill_api_at_random(scene: Scene) -> None:
    api = scene.rig.api
    for _ in range(4):
        scene.until_accepted(scene.dice.randrange(5, 30))
        victim = scene.dice.choice(api.family()[1:])
        processes = len(api.family())
        victim.kill()
        victim.wait(10)
        wait_until(partial(api.has_processes, processes), 20, "gunicorn replaces its worker")


# Redis.


def redis_down(scene: Scene) -> None:
    scene.until_accepted(10)
    scene.rig.redis.kill()
    scene.until_accepted(80)
    scene.rig.redis.start()
    scene.rig.redis.wait_until_ready()


def redis_frozen(scene: Scene) -> None:
    scene.until_accepted(10)
    scene.rig.redis.freeze()
    scene.until_accepted(150)
    scene.rig.redis.thaw()


def redis_restarted_empty(scene: Scene) -> None:
    for part in scene.rig.workers:
        part.freeze()
    scene.until_accepted(200, within_s=40)
    scene.rig.redis.stop()
    for file in (scene.rig.folder / "redis").rglob("*.aof"):
        file.unlink()
    for file in (scene.rig.folder / "redis").rglob("*.manifest"):
        file.unlink()
    scene.rig.redis.start()
    scene.rig.redis.wait_until_ready()
    assert scene.rig.backlog() < 50
    for part in scene.rig.workers:
        part.thaw()


def redis_flushed(scene: Scene) -> None:
    for _ in range(8):
        scene.until_accepted(20)
        scene.rig.broker.flushall()


def redis_full(scene: Scene) -> None:
    scene.until_accepted(10)
    scene.rig.broker.config_set("maxmemory", "1mb")
    scene.until_accepted(150)
    scene.rig.broker.config_set("maxmemory", "256mb")


def redis_fails_over(scene: Scene) -> None:
    """It becomes a replica, which takes no messages, and then a master again."""
    scene.until_accepted(10)
    scene.rig.broker.replicaof("127.0.0.1", 1)
    scene.until_accepted(100)
    scene.rig.broker.replicaof("NO", "ONE")
    assert all(part.alive for part in scene.rig.parts)


def redis_slow(scene: Scene) -> None:
    for line in (scene.rig.api_to_redis, scene.rig.workers_to_redis):
        line.delay_s = 0.15
    scene.until_accepted(100)
    for line in (scene.rig.api_to_redis, scene.rig.workers_to_redis):
        line.heal()


def messages_shuffled(scene: Scene) -> None:
    broker = scene.rig.broker
    for _ in range(2):
        for part in scene.rig.workers:
            part.freeze()
        scene.until_accepted(30)
        for queue in Queue:
            waiting = broker.lrange(queue.value, 0, -1)
            scene.dice.shuffle(waiting)
            if waiting:
                broker.delete(queue.value)
                broker.rpush(queue.value, *waiting)
        for part in scene.rig.workers:
            part.thaw()


def poison(scene: Scene) -> None:
    """Each kind, on a queue with others before and behind it; a supervisor restarts the processes that it kills."""
    messages = list(POISON)
    scene.dice.shuffle(messages)
    for message in messages:
        queue = scene.dice.choice([Queue.LIFECYCLE, Queue.PROVISIONING])
        scene.rig.broker.lpush(queue.value, message)
        scene.until_accepted(8)
        scene.rig.restart_dead()


# PostgreSQL.


def database_restarted(scene: Scene) -> None:
    for _ in range(2):
        scene.until_accepted(30)
        scene.rig.postgres.signal(signal.SIGQUIT)  # an immediate shutdown: it recovers as after a crash
        wait_until(lambda: not scene.rig.postgres.alive, 10, "PostgreSQL has ended")
        scene.rig.postgres.start()
        scene.rig.postgres.wait_until_ready()


def database_frozen(scene: Scene) -> None:
    scene.until_accepted(20)
    scene.rig.postgres.freeze()
    scene.until_unavailable(8)  # two of each client: nobody hangs
    scene.rig.postgres.thaw()


def database_full_of_others(scene: Scene) -> None:
    """A stranger takes every free connection, and ends ours."""
    scene.until_accepted(20)
    with scene.rig.crowd() as squeeze:
        scene.until_unavailable(4, meanwhile=squeeze)


# ECS.


def with_rules(*rules: dict[str, Any], accepted: int = 150) -> Callable[[Scene], None]:
    def inflict(scene: Scene) -> None:
        seeded = [{**rule, "seed": scene.dice.randrange(2**31)} for rule in rules]
        scene.until_accepted(10)
        scene.rig.ecs.set_faults(*seeded)
        scene.until_accepted(accepted, within_s=60)
        scene.rig.ecs.set_faults()

    return inflict


def late_ghosts(scene: Scene) -> None:
    seconds = 4
    with_rules(
        {"kind": "ghost", "action": "UpdateService", "probability": 0.3, "seconds": seconds, "answer": "cut"},
    )(scene)
    until = time.monotonic() + seconds  # when the last of them has taken effect
    wait_until(lambda: time.monotonic() > until, seconds + 1, "the ghosts have come")


def within_quotas(scene: Scene) -> None:
    """ECS refuses what is beyond Amazon's quotas, and workers that share the rate budget stay below them."""
    usual = scene.rig.workers
    budgeted = [scene.rig.worker(number, ECS_BUDGET_SHARE="0.9") for number in (3, 4)]
    for part in usual:
        part.stop()
    scene.rig.ecs.set_faults({"kind": "quotas"})
    for part in budgeted:
        part.start()
    scene.until_accepted(150)
    so_far = [answer.command_id for answer in scene.load.accepted]
    wait_until(lambda: scene.rig.are_final(so_far), 60, "what was accepted is final, within the quotas")
    for part in budgeted:
        part.stop()
    (rule,) = scene.rig.ecs.faults()
    assert rule["applied"] == 0, f"ECS refused {rule['applied']} calls"
    scene.rig.ecs.set_faults()
    for part in usual:
        part.start()


def slow_for_some(scene: Scene) -> None:
    """Calls for ten chargers hang; the others' commands go on."""
    slow = scene.rig.chargers[:10]
    others = set(scene.rig.chargers[10:])
    scene.rig.ecs.set_faults(
        *({"kind": "delay", "action": "UpdateService", "service": name, "seconds": 30} for name in slow)
    )
    scene.until_accepted(50)
    during = [answer.command_id for answer in scene.load.accepted if answer.charger_id in others][-20:]
    wait_until(lambda: scene.rig.are_final(during), 15, "the others' commands move")
    scene.rig.ecs.set_faults()


def ecs_restarted(scene: Scene) -> None:
    scene.until_accepted(30)
    scene.rig.ecs.kill()
    scene.until_accepted(60)
    scene.rig.ecs.start()


def changed_by_hand(scene: Scene) -> None:
    """By somebody with the console: counts, services and tasks."""
    boto, chargers = scene.rig.boto, list(scene.rig.chargers)
    scene.until_accepted(20)
    scene.dice.shuffle(chargers)
    for charger_id in chargers[:5]:
        count = scene.rig.services()[charger_id].desired_count
        boto.update_service(cluster=CLUSTER, service=charger_id, desiredCount=1 - count)
    for charger_id in chargers[5:8]:
        boto.delete_service(cluster=CLUSTER, service=charger_id, force=True)
    for charger_id in chargers[8:13]:
        for arn in boto.list_tasks(cluster=CLUSTER, serviceName=charger_id)["taskArns"]:
            boto.stop_task(cluster=CLUSTER, task=arn, reason="by hand")
    scene.until_accepted(20)


def everything(scene: Scene) -> None:
    """One after another, at random."""
    choices = [fault.inflict for fault in FAULTS if fault.inflict is not everything]
    for inflict in scene.dice.sample(choices, 6):
        inflict(scene)
        scene.rig.mend()


FAULTS = [
    Fault("F00 nothing", nothing),
    Fault("F01 worker kill -9, by turns", kill_workers_by_turns, converges_within_s=30),
    Fault("F02 all workers kill -9", kill_all_workers, slow=False, converges_within_s=30),
    Fault("F03 kill -9 between ECS call and record", kill_between_call_and_record, converges_within_s=30),
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
    Fault(
        "F15 ECS throttles 90 %", with_rules({"kind": "throttle", "probability": 0.9}), converges_within_s=30
    ),
    Fault(
        "F16 ECS answers 500 and 503, 70 %",
        with_rules(
            {"kind": "error", "status": 500, "probability": 0.45},
            {"kind": "error", "status": 503, "probability": 0.45},
        ),
        converges_within_s=30,
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
    Fault("F39 ECS's quotas, budget on", within_quotas, converges_within_s=30),
    Fault("F21 every message five times", nothing, copies=4),
    Fault("F22 messages shuffled", messages_shuffled, slow=False),
    Fault(
        "F23 conflicts on 5 chargers",
        lambda scene: scene.until_accepted(300, 60),
        chargers=5,
        clients=8,
        pause_s=0.02,
    ),
    Fault("F26 poison messages", poison, converges_within_s=30),
    Fault("F27 workers 2, 0, 4, 0, 2", no_worker_then_four),
    Fault("F28 rolling deployment", rolling_deployment),
    Fault("F29 worker frozen and gone on", frozen_worker),
    Fault("F30 ECS kill -9 and back", ecs_restarted),
    Fault("F31 changed by hand", changed_by_hand, slow=False),
    Fault("F35 workers cut from the database", workers_cut_from_the_database),
    Fault("F36 Redis answers 300 ms late", redis_slow),
    Fault("F37 Redis fails over", redis_fails_over, p99_s=1, slowest_s=3),
    Fault("F34 six of them at random", everything, allows=(UNAVAILABLE, NO_ANSWER), converges_within_s=30),
]
