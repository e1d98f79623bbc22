"""Sends commands to many chargers at once, and waits for their results."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import uuid4

from chargehand.client.failures import Failure, Refused, TimeIsUp
from chargehand.client.finding import find_charger
from chargehand.client.http import Client, Row, segment

AT_ONCE = 16  # requests
SLICE_S = 1  # that one request waits, in whole seconds; so old is at most what is shown of a charger
ENDED = frozenset({"succeeded", "failed", "superseded"})
REFUSED = "refused"
SUPERSEDED = "a newer command came before it was done"
STOPPED = "it is stopped, so no CSMS can accept it"
NOT_FOUND = 404
PAUSE_S = 0.2  # after a round that was answered at once, as a server that is being stopped does


class Until(StrEnum):
    """What to wait for."""

    FINAL = "final"  #: the command ended: what runs is what was requested
    ACCEPTED = "accepted"  #: and the CSMS accepted the charger's boot


class Outcome(StrEnum):
    """Where a task is."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"


@dataclass
class Task:
    """One charger, the request that is sent for it, and the result."""

    label: str  #: its identity, or what it was called by
    path: str = ""  #: of the POST; empty to wait only
    body: Row | None = None
    charger_id: str = ""
    until: Until = Until.FINAL
    key: str = field(default_factory=lambda: uuid4().hex)  #: makes a repeat of the POST the same request
    command_id: str = ""  #: of the command that the POST made; empty before its answer
    read: bool = False  #: whether its result was read since it was sent
    outcome: Outcome = Outcome.OPEN
    state: str = ""  #: in a word or two
    reason: str | None = None  #: why it is not further
    status: int | None = None  #: of an answer that was an error
    command: Row | None = None
    runtime: Row | None = None

    def end(self, outcome: Outcome, reason: str | None = None) -> None:
        self.outcome = outcome
        self.reason = reason or self.reason

    @property
    def open(self) -> bool:
        return self.outcome is Outcome.OPEN

    @property
    def bad(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)

    def what_happened(self) -> str:
        """`CP-1 (dep-...): disconnected, nothing listens on 127.0.0.1:9`."""
        named = f"{self.label} ({self.charger_id})" if self.charger_id else self.label
        state = ", ".join(filter(None, (self.state, self.reason)))
        if self.outcome is Outcome.FAILED:
            return f"{named}: {self.reason or self.state}"
        if self.outcome is Outcome.TIMED_OUT:
            wanted = "accepted" if self.until is Until.ACCEPTED else "done"
            return f"{named}: not {wanted} in time: {state or 'no answer yet'}"
        return f"{named}: {state}"

    def as_json(self) -> Row:
        """For programs: how it ended, the command, and the charger's runtime."""
        return {
            "id": self.charger_id or None,
            "identity": self.label,
            "ok": not self.bad,
            "outcome": self.outcome,
            "state": self.state or None,
            "reason": self.reason,
            "command": self.command,
            "runtime": self.runtime,
        }


Changed = Callable[[Task], None]


def send_all(client: Client, tasks: Sequence[Task], changed: Changed = lambda _: None) -> None:
    """Send the POST of each task once, and wait for nothing. What the API refuses is a failed task."""

    def send(task: Task) -> None:
        _guarded(task, lambda: _take(task, client.post(task.path, task.key, task.body)[1]))
        changed(task)

    _at_once(send, tasks)


def wait_all(
    client: Client, tasks: Sequence[Task], timeout_s: float, changed: Changed = lambda _: None
) -> None:
    """Send the POST of each task that has one, and wait until each task is over or the time is up.

    A task whose result was not read when the time is up is read once more. `changed` is called from several threads.
    """
    client = client.within(timeout_s)
    deadline = time.monotonic() + timeout_s

    def advance(task: Task, *, hold: bool) -> None:
        if time.monotonic() >= deadline and task.read:
            return
        before = (task.outcome, task.state, task.reason)
        _guarded(task, lambda: _advance(client, task, hold=hold))
        task.read = True
        if before != (task.outcome, task.state, task.reason):
            changed(task)

    try:
        if len(tasks) > AT_ONCE:  # so that no charger waits for the results of others
            send_all(client, [task for task in tasks if task.path], changed)
        while open_tasks := [task for task in tasks if task.open]:
            began = time.monotonic()
            hold = len(open_tasks) <= AT_ONCE
            _at_once(partial(advance, hold=hold), open_tasks)
            now = time.monotonic()
            if now >= deadline:
                break
            pause_s = (PAUSE_S if hold else SLICE_S) - (now - began)
            time.sleep(max(min(pause_s, deadline - now), 0))
    except TimeIsUp:  # the API does not answer any more, so the other tasks are not read either
        pass
    for task in tasks:
        if task.open:
            task.end(Outcome.TIMED_OUT)
            changed(task)


def raise_for_failures(tasks: Sequence[Task]) -> None:
    """Raises Failure with a line for each task that did not succeed; TimeIsUp when time was all that they lacked."""
    bad = [task for task in tasks if task.bad]
    if bad:
        late = all(task.outcome is Outcome.TIMED_OUT for task in bad)
        raise (TimeIsUp if late else Failure)("\n".join(task.what_happened() for task in bad))


def delete_all(client: Client, tasks: Sequence[Task]) -> None:
    """Delete the charger of each task. What is already gone is a failed task."""

    def delete(task: Task) -> None:
        _guarded(task, lambda: client.delete(_path(task)))
        if task.open:
            task.state = "deleted"
            task.end(Outcome.DONE)

    _at_once(delete, tasks)


def delete_created(client: Client, tasks: Sequence[Task]) -> list[str]:
    """Delete what the tasks created. Returns a line for each charger that may still be there."""
    for task in tasks:
        if not task.charger_id and task.body and task.state != REFUSED:  # the answer to its POST never came
            found = find_charger(client, task.body["identity"])
            task.charger_id = found["id"] if found else ""
    deletions = [Task(task.label, charger_id=task.charger_id) for task in tasks if task.charger_id]
    delete_all(client, deletions)
    return [
        task.what_happened()
        for task in deletions
        if task.outcome is Outcome.FAILED and task.status != NOT_FOUND
    ]


def _advance(client: Client, task: Task, *, hold: bool) -> None:
    """Send the POST, or read the result. With `hold` the API holds its answers for SLICE_S, until they are final.

    Without it, an answer is held only when the charger shows what is waited for, and so comes at once.
    """
    if hold or (task.path and not task.command_id) or _seems_over(client, task):
        _send(client, task) if task.path else _read(client, task)


def _seems_over(client: Client, task: Task) -> bool:
    """Whether the charger shows what is waited for: perhaps still from before a restart."""
    _read_command(client, task)
    if not task.open or not _has_ended(task) or task.until is Until.FINAL:
        return task.open and _has_ended(task)
    _note_link(task, client.get(_path(task)), is_sure=False)
    return task.open and task.state == "accepted"


def _send(client: Client, task: Task) -> None:
    """Each time with the same key, so it is one request."""
    status, answer = client.post(task.path, task.key, task.body, **_held(task))
    _take(task, answer)
    if not task.open:
        return
    if status == 200 and (task.until is Until.FINAL or "runtime" in answer):
        task.state = "accepted" if task.until is Until.ACCEPTED else _word(task)
        task.reason = None
        task.end(Outcome.DONE)
    elif task.until is Until.FINAL:
        _note_command(task, client.get(_command_path(task, answer["command_id"])))
    elif "runtime" in answer:
        _note_runtime(task, answer["runtime"], answer["generation"])
    else:  # the API could not read the charger; what it shows now may still be the session before a restart
        _note_link(task, client.get(_path(task)), is_sure=False)


def _read(client: Client, task: Task) -> None:
    """Read the newest command, then the charger, of a task without a POST."""
    _read_command(client, task, wait=SLICE_S)
    if not task.open or not _has_ended(task):
        return
    if task.until is Until.FINAL:
        task.state = _word(task)
        task.end(Outcome.DONE)
        return
    began = time.monotonic()
    charger = client.get(_path(task), **_held(task))
    # At the end of the wait the answer may still show the session before a restart as accepted.
    _note_link(task, charger, is_sure=time.monotonic() - began < SLICE_S)


def _read_command(client: Client, task: Task, wait: int | None = None) -> None:
    """The task's own command, or the charger's newest of a task without a POST; not again once it has ended."""
    if _has_ended(task):
        return
    if task.path:
        command = client.get(_command_path(task, task.command_id), wait=wait)
    else:
        command = client.get(f"{_path(task)}/commands", limit=1)["data"][0]
        if wait and command["status"] not in ENDED:
            command = client.get(_command_path(task, command["id"]), wait=wait)
    _note_command(task, command)


def _has_ended(task: Task) -> bool:
    return task.command is not None and task.command["status"] in ENDED


def _held(task: Task) -> dict[str, Any]:
    """The query that holds an answer. FINAL is what the API waits for by itself."""
    return {"wait": SLICE_S, "until": None if task.until is Until.FINAL else task.until}


def _take(task: Task, answer: Row) -> None:
    """What the answer to a POST says."""
    task.charger_id = answer.get("charger_id") or answer["id"]
    task.command_id = answer["command_id"]
    task.state = task.state or str(answer.get("status") or "queued").lower()
    if answer.get("command"):
        _note_command(task, answer["command"])
    if answer.get("runtime"):
        task.runtime = answer["runtime"]
    if answer.get("status") == "FAILED" and task.open:
        task.state = "failed"
        task.end(Outcome.FAILED, "its provisioning failed")


def _note_command(task: Task, command: Row) -> None:
    task.command = command
    task.state, task.reason = command["status"], command.get("reason")
    if command["status"] == "failed":
        error = command.get("error") or {}
        code = error.get("code")
        message = error.get("message") or "the command failed"
        task.end(Outcome.FAILED, f"{message} ({code})" if code else message)
    elif command["status"] == "superseded":
        task.end(Outcome.FAILED, SUPERSEDED)


def _note_runtime(task: Task, runtime: Row, generation: int) -> None:
    """How far the charger has come that the CSMS has not accepted yet."""
    task.state, task.reason = state_of({"runtime": runtime})
    task.runtime = runtime
    if runtime["desired"] == "stopped":
        task.end(Outcome.FAILED, STOPPED)
    elif runtime["generation"] > generation:
        task.end(Outcome.FAILED, SUPERSEDED)


def _note_link(task: Task, charger: Row, *, is_sure: bool = True) -> None:
    """Whether the CSMS has accepted the charger that runs."""
    task.label, task.runtime = charger["identity"], charger["runtime"]
    task.state, task.reason = state_of(charger)
    if charger.get("status") == "FAILED":
        task.end(Outcome.FAILED, "its provisioning failed")
    elif charger["runtime"]["desired"] == "stopped":
        task.end(Outcome.FAILED, STOPPED)
    elif task.state == "accepted" and is_sure:
        task.end(Outcome.DONE)


def state_of(charger: Row) -> tuple[str, str | None]:
    """A charger's state in a word, and the reason: its link's where it runs, else its task's."""
    runtime = charger["runtime"]
    if charger.get("status") in ("FAILED", "PENDING", "PROVISIONING") and runtime["observed"] != "running":
        return str(charger["status"]).lower(), runtime["reason"]
    if runtime["observed"] == "running" and runtime["desired"] == "running" and runtime["ocpp"]["state"]:
        return runtime["ocpp"]["state"], runtime["ocpp"]["reason"]
    return runtime["observed"], runtime["reason"]


def _word(task: Task) -> str:
    """The state that a command which succeeded left."""
    event_type = task.command["event_type"] if task.command else ""
    return {"stop_charger": "stopped", "delete_charger": "deleted"}.get(event_type, "running")


def _guarded(task: Task, step: Callable[[], None]) -> None:
    """What the API refuses of one charger ends that task, and no other."""
    try:
        step()
    except Refused as error:
        if error.status == 401:
            raise
        task.state = task.state or REFUSED
        task.status = error.status
        task.end(Outcome.FAILED, str(error))


def _at_once(step: Callable[[Task], None], tasks: Sequence[Task]) -> None:
    with ThreadPoolExecutor(min(AT_ONCE, len(tasks) or 1)) as threads:
        for _ in threads.map(step, tasks):
            pass


def _path(task: Task) -> str:
    return f"/ocpp/chargers/{segment(task.charger_id)}"


def _command_path(task: Task, command_id: str) -> str:
    return f"{_path(task)}/commands/{segment(command_id)}"
