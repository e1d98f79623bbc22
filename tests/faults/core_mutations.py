"""Mutations of worker/reconcile and worker/ecs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A change of the source that a test must notice."""

    what: str
    file: str
    old: str  #: occurs once
    new: str


CORE_MUTATIONS = (
    Mutation(
        "the row is not read again after the call",
        "worker/reconcile/record.py",
        "        return newest_desired_state(session.connection(), charger.id)\n    match",
        "        return None\n    match",
    ),
    Mutation(
        "what the first reading said is applied, not the row",
        "worker/reconcile/converge.py",
        "    while desired is not None:\n",
        "    first = desired.desired_count if desired else 0\n"
        "    while desired is not None:\n        desired = desired._replace(desired_count=first)\n",
    ),
    Mutation(
        "a message is acted on though ECS has accepted it already",
        "worker/reconcile/desired.py",
        "return not done and not early",
        "return not early",
    ),
    Mutation(
        "`not_before` is ignored",
        "worker/reconcile/desired.py",
        "return not done and not early",
        "return not done",
    ),
    Mutation(
        "organizations that wait for the rate budget are served in the order of arrival",
        "worker/ecs/turns.lua",
        "math.max(current_round, score(next_rounds, organization) or 0)",
        "math.max(redis.call('ZCARD', turns), score(next_rounds, organization) or 0)",
    ),
    Mutation(
        "a start waits behind the creates and removals of its organization",
        "worker/ecs/turns.lua",
        "return position + priority / 1000",
        "return redis.call('ZCARD', queue) + priority / 1000",
    ),
    Mutation(
        "commands that come without end leave no turn for observing",
        "worker/ecs/turns.py",
        "            ahead, max_sleep_s = 0, OBSERVE_MAX_SLEEP_S\n",
        "            pass\n",
    ),
    Mutation(
        "a deadline runs while the rate budget holds a command back",
        "worker/reconcile/applied.py",
        "            applied_at = now(),\n"
        "            held_for = held_for + coalesce(now() - held_since, interval '0'),\n",
        "            applied_at = now(),\n",
    ),
    Mutation(
        "a command that the rate budget held back fails at the first error after its turn",
        "worker/reconcile/desired.py",
        "func.coalesce(func.now() - Command.held_since, timedelta())",
        "timedelta()",
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
        "the second worker to record a definition wins",
        "worker/reconcile/provision.py",
        ".where(Charger.id == charger.id, *unchanged)",
        ".where(Charger.id == charger.id)",
    ),
    Mutation(
        "a removed charger is not checked for what a late call made",
        "worker/reconcile/record.py",
        "            record_removal(session, charger)\n",
        "",
    ),
    Mutation(
        "a worker of other settings takes part in a rollout",
        "worker/reconcile/converge.py",
        "return desired.rollout_hash is not None and not is_open and not rolls_out(ecs, desired)",
        "return False",
    ),
    Mutation(
        "a worker of other settings ends a rollout",
        "worker/reconcile/applied.py",
        "drifted_at = CASE WHEN drifted_at IS NOT NULL AND rollout_hash <> :rolled_out THEN drifted_at END",
        "drifted_at = NULL",
    ),
    Mutation(
        "a restart believes a list of tasks that is some seconds old",
        "worker/reconcile/provision.py",
        "        if task is not None and task.running:\n            return known\n",
        "",
    ),
    Mutation(
        "a command succeeds when ECS takes it, without an observation",
        "worker/reconcile/applied.py",
        "            status = 'applied',\n",
        "            status = 'succeeded',\n",
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
        "older commands stay open",
        "worker/reconcile/record.py",
        "    _supersede_older(session, charger)\n    if",
        "    if",
    ),
    Mutation(
        "`observed_generation` may fall",
        "worker/reconcile/record.py",
        "max(charger.observed_generation, desired.generation)",
        "desired.generation",
    ),
    Mutation(
        "a delayed command is not published again (a CHECK forbids it)",
        "worker/reconcile/failure.py",
        "    charger.not_before = func.now() + timedelta(seconds=delay_s)\n"
        "    charger.publish_at = charger.not_before\n",
        "    charger.not_before = func.now() + timedelta(seconds=delay_s)\n    charger.publish_at = None\n",
    ),
    Mutation(
        "the row is locked during the call",
        "worker/reconcile/converge.py",
        "        outcome = attempt(sessions, ecs, hosting, desired)\n",
        "        with sessions.begin() as session:\n"
        "            session.get(Charger, desired.id, with_for_update=True)\n"
        "            outcome = attempt(sessions, ecs, hosting, desired)\n",
    ),
    Mutation(
        "what a late call made of a removed charger stays",
        "worker/reconcile/record.py",
        "        return _removal_of_leftovers(session, desired)\n",
        "        return None\n",
    ),
    Mutation(
        "a deleted charger is removed while its task still runs",
        "worker/reconcile/provision.py",
        "    if remaining is not None:\n",
        "    if False:\n",
    ),
    Mutation(
        "a draining service is deleted again each time",
        "worker/reconcile/provision.py",
        "remaining = ecs.remaining_service(charger.id) if deleted else ecs.delete_service(charger.id)",
        "remaining = ecs.delete_service(charger.id)",
    ),
    Mutation(
        "a charger does not wait for its deleted namesake",
        "worker/reconcile/provision.py",
        "    if blocked:\n",
        "    if False:\n",
    ),
    Mutation(
        "a hint about a charger that is being processed is lost",
        "worker/reconcile/coalesce.py",
        "                rounds[-1].dirty = True\n",
        "",
    ),
    Mutation(
        "each hint about a charger takes one more thread",
        "worker/reconcile/coalesce.py",
        "            if rounds and (",
        "            if False and (",
    ),
)
