"""Kill, freeze and replace workers and API processes."""

import signal
from functools import partial

from tests.faults.scene import Scene
from tests.support.waiting import wait_until

# Workers.


def kill_workers_by_turns(scene: Scene) -> None:
    for _ in range(6):
        component = scene.dice.choice(scene.rig.workers)
        scene.until_accepted(scene.dice.randrange(5, 15))
        component.kill()
        component.start()


def kill_all_workers(scene: Scene) -> None:
    scene.until_accepted(30)
    for component in scene.rig.workers:
        component.kill()
    scene.until_accepted(30)
    for component in scene.rig.workers:
        component.start()


def kill_between_call_and_record(scene: Scene) -> None:
    """ECS has made the change, and the worker is killed before the answer."""
    held = {"kind": "apply_then_delay", "action": "UpdateService", "seconds": 5}
    for _ in range(2):
        scene.rig.ecs.set_faults(held)
        wait_until(lambda: scene.rig.ecs.faults()[0]["applied"] >= 3, 20, "calls are held")
        for component in scene.rig.workers:
            component.kill()
        scene.rig.ecs.set_faults()
        for component in scene.rig.workers:
            component.start()
        scene.until_accepted(20)


def no_worker_then_four(scene: Scene) -> None:
    for component in scene.rig.workers:
        component.stop()
    scene.until_accepted(60)
    more = [scene.rig.worker(number) for number in (3, 4)]
    for component in (*scene.rig.workers, *more):
        component.start()
    scene.until_accepted(60)
    for component in (*scene.rig.workers, *more):
        component.stop()
    scene.until_accepted(30)
    for component in scene.rig.workers:
        component.start()


def rolling_deployment(scene: Scene) -> None:
    for component in scene.rig.workers:
        scene.until_accepted(15)
        component.stop()
        component.start()
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
    component = scene.rig.workers[0]
    scene.rig.ecs.set_faults({"kind": "delay", "action": "*Service", "seconds": 0.3})
    for _ in range(2):
        scene.until_accepted(20)
        component.freeze()
        scene.until_accepted(100)
        component.thaw()
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
