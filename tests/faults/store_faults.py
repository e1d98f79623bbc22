"""Stop, freeze, flush, fill and cut off Redis and PostgreSQL."""

import signal

from shared.queues import Queue
from tests.faults.poison import POISON
from tests.faults.scene import Scene
from tests.support.waiting import wait_until

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
    for component in scene.rig.workers:
        component.freeze()
    scene.until_accepted(200, within_s=40)
    scene.rig.redis.stop()
    for file in (scene.rig.folder / "redis").rglob("*.aof"):
        file.unlink()
    for file in (scene.rig.folder / "redis").rglob("*.manifest"):
        file.unlink()
    scene.rig.redis.start()
    scene.rig.redis.wait_until_ready()
    assert scene.rig.backlog() < 50
    for component in scene.rig.workers:
        component.thaw()


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
    assert all(component.alive for component in scene.rig.components)


def redis_slow(scene: Scene) -> None:
    for line in (scene.rig.api_to_redis, scene.rig.workers_to_redis):
        line.delay_s = 0.15
    scene.until_accepted(100)
    for line in (scene.rig.api_to_redis, scene.rig.workers_to_redis):
        line.heal()


def messages_shuffled(scene: Scene) -> None:
    broker = scene.rig.broker
    for _ in range(2):
        for component in scene.rig.workers:
            component.freeze()
        scene.until_accepted(30)
        for queue in Queue:
            waiting = broker.lrange(queue.value, 0, -1)
            scene.dice.shuffle(waiting)
            if waiting:
                broker.delete(queue.value)
                broker.rpush(queue.value, *waiting)
        for component in scene.rig.workers:
            component.thaw()


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
