"""The queues, the task names that Flower shows, and the messages between api and worker."""

from enum import StrEnum
from typing import Any, TypedDict
from uuid import UUID

from shared.vocabulary import EventType


class Queue(StrEnum):
    """A worker pool may serve any set of queues."""

    LIFECYCLE = "lifecycle"  #: start, stop, restart: small and fast, people wait for them
    PROVISIONING = "provisioning"  #: create, update, delete, roll out
    MAINTENANCE = "maintenance"  #: sweep, jobs, expiry, observe, hosts, rollouts, logs


class TaskName(StrEnum):
    PROVISION = "charger.provision"
    UPDATE = "charger.update"
    DELETE = "charger.delete"
    START = "charger.start"
    STOP = "charger.stop"
    RESTART = "charger.restart"
    REPAIR = "charger.repair"  #: drift
    ROLL_OUT = "charger.roll_out"  #: a new image, size or role
    SWEEP = "maintenance.sweep"
    RUN_JOBS = "maintenance.run_jobs"
    EXPIRE = "maintenance.expire"
    OBSERVE = "maintenance.observe"
    KEEP_HOSTS = "maintenance.keep_hosts"
    ROLLOUTS = "maintenance.rollouts"
    READ_LOGS = "maintenance.read_logs"
    CLEAN_UP = "maintenance.clean_up"


#: The task that carries a command of each event type.
TASK_OF: dict[EventType, TaskName] = {
    EventType.CREATE_CHARGER: TaskName.PROVISION,
    EventType.UPDATE_CHARGER: TaskName.UPDATE,
    EventType.DELETE_CHARGER: TaskName.DELETE,
    EventType.START_CHARGER: TaskName.START,
    EventType.STOP_CHARGER: TaskName.STOP,
    EventType.RESET_CHARGER: TaskName.RESTART,
}

QUEUE_OF: dict[TaskName, Queue] = {
    TaskName.PROVISION: Queue.PROVISIONING,
    TaskName.UPDATE: Queue.PROVISIONING,
    TaskName.DELETE: Queue.PROVISIONING,
    TaskName.ROLL_OUT: Queue.PROVISIONING,
    TaskName.START: Queue.LIFECYCLE,
    TaskName.STOP: Queue.LIFECYCLE,
    TaskName.RESTART: Queue.LIFECYCLE,
    TaskName.REPAIR: Queue.LIFECYCLE,
    TaskName.SWEEP: Queue.MAINTENANCE,
    TaskName.RUN_JOBS: Queue.MAINTENANCE,
    TaskName.EXPIRE: Queue.MAINTENANCE,
    TaskName.OBSERVE: Queue.MAINTENANCE,
    TaskName.KEEP_HOSTS: Queue.MAINTENANCE,
    TaskName.ROLLOUTS: Queue.MAINTENANCE,
    TaskName.READ_LOGS: Queue.MAINTENANCE,
    TaskName.CLEAN_UP: Queue.MAINTENANCE,
}


class Message(TypedDict):
    """The arguments of a charger task. Workers use charger_id only; the rest is for readers of the queue."""

    command_id: str | None
    charger_id: str
    event_type: str
    generation: int
    payload: dict[str, Any]


def message(
    *, charger_id: str, command_id: UUID | None, event_type: str, generation: int, desired_count: int
) -> Message:
    """A hint that the charger's row changed. Harmless when lost, doubled or late."""
    return Message(
        command_id=str(command_id) if command_id else None,
        charger_id=charger_id,
        event_type=event_type,
        generation=generation,
        payload={"desired_count": desired_count},
    )
