"""Make ECS slow, wrong, unavailable, or changed by somebody else."""

import time
from collections.abc import Callable
from typing import Any

from tests.faults.rig import CLUSTER
from tests.faults.scene import Scene
from tests.support.waiting import wait_until

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
    for component in usual:
        component.stop()
    scene.rig.ecs.set_faults({"kind": "quotas"})
    for component in budgeted:
        component.start()
    scene.until_accepted(150)
    so_far = [answer.command_id for answer in scene.load.accepted]
    wait_until(lambda: scene.rig.are_final(so_far), 60, "what was accepted is final, within the quotas")
    for component in budgeted:
        component.stop()
    (rule,) = scene.rig.ecs.faults()
    assert rule["applied"] == 0, f"ECS refused {rule['applied']} calls"
    scene.rig.ecs.set_faults()
    for component in usual:
        component.start()


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
