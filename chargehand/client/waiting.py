"""Sends the requests for many chargers, and waits for their results."""

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

MAX_REQUESTS = 16  # at the same time
HOLD_S = 1  # that the API holds an answer; the states on display are at most this old
ENDED = frozenset({"succeeded", "failed", "superseded"})
REFUSED = "refused"
SUPERSEDED = "a newer command came before it was done"
STOPPED = "it is stopped, so no CSMS can accept it"
NOT_FOUND = 404
PAUSE_S = 0.2  # after a round without held answers, as from a server that is stopping


class Until(StrEnum):
    """What to wait for."""

    FINAL = "final"  #: the command ended, and the charger does what was requested
    ACCEPTED = "accepted"  #: then the CSMS accepted the charger's boot


class Outcome(StrEnum):
    """How far a task is."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"


@dataclass
class Task:
    """One charger, the request that is sent for it, and the result."""

    label: str  #: its identity, or the name that the user gave
    path: str = ""  #: of the POST; empty only to wait
    body: Row | None = None
    charger_id: str = ""
    until: Until = Until.FINAL
    key: str = field(default_factory=lambda: uuid4().hex)  #: its Idempotency-Key
    command_id: str = ""  #: of the command that the POST recorded; empty before its answer
    read: bool = False  #: whether its result has been read since the POST
    outcome: Outcome = Outcome.OPEN
    state: str = ""  #: in a word or two
    reason: str | None = None  #: why the charger is in this state
    status: int | None = None  #: of an error answer
    command: Row | None = None
    runtime: Row | None = None

    def end(self, outcome: Outcome, reason: str | None = None) -> None:
        """Record the outcome, and the reason if one is given."""
        self.outcome = outcome
        self.reason = reason or self.reason

    @property
    def open(self) -> bool:
        return self.outcome is Outcome.OPEN

    @property
    def bad(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)

    def what_happened(self) -> str:
        """The result as a line: `CP-1 (dep-...): disconnected, nothing listens on 127.0.0.1:9`."""
        named = f"{self.label} ({self.charger_id})" if self.charger_id else self.label
        state = ", ".join(filter(None, (self.state, self.reason)))
        if self.outcome is Outcome.FAILED:
            return f"{named}: {self.reason or self.state}"
        if self.outcome is Outcome.TIMED_OUT:
            wanted = "accepted" if self.until is Until.ACCEPTED else "done"
            return f"{named}: not {wanted} in time: {state or 'no answer yet'}"
        return f"{named}: {state}"

    def as_json(self) -> Row:
        """The outcome, the command and the charger's runtime, for programs."""
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
    """Send the POST of each task, without waiting for results. A task whose POST the API refuses fails. Raises Failure."""

    def send(task: Task) -> None:
        _guarded(task, lambda: _note_answer(task, client.post(task.path, task.key, task.body)[1]))
        changed(task)

    _for_each(send, tasks)


def wait_all(
    client: Client, tasks: Sequence[Task], timeout_s: float, changed: Changed = lambda _: None
) -> None:
    """Send the POST of each task that has one, and wait until every task has ended or the time is up. Raises Failure.

    A task whose result has not been read by then is read once more. `changed` is called from several threads.
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
        if len(tasks) > MAX_REQUESTS:  # so that no POST waits for the results of other chargers
            send_all(client, [task for task in tasks if task.path], changed)
        while open_tasks := [task for task in tasks if task.open]:
            began = time.monotonic()
            hold = len(open_tasks) <= MAX_REQUESTS
            _for_each(partial(advance, hold=hold), open_tasks)
            now = time.monotonic()
            if now >= deadline:
                break
            pause_s = (PAUSE_S if hold else HOLD_S) - (now - began)
            time.sleep(max(min(pause_s, deadline - now), 0))
    except TimeIsUp:  # the API does not answer, so the other tasks are not read either
        pass
    for task in tasks:
        if task.open:
            task.end(Outcome.TIMED_OUT)
            changed(task)


def raise_for_failures(tasks: Sequence[Task]) -> None:
    """Raises Failure with a line for each task that did not succeed; TimeIsUp if all of these timed out."""
    bad = [task for task in tasks if task.bad]
    if bad:
        late = all(task.outcome is Outcome.TIMED_OUT for task in bad)
        raise (TimeIsUp if late else Failure)("\n".join(task.what_happened() for task in bad))


def delete_all(client: Client, tasks: Sequence[Task]) -> None:
    """Delete the charger of each task. A task whose charger does not exist fails. Raises Failure."""

    def delete(task: Task) -> None:
        _guarded(task, lambda: client.delete(_path(task)))
        if task.open:
            task.state = "deleted"
            task.end(Outcome.DONE)

    _for_each(delete, tasks)


def update_all(client: Client, tasks: Sequence[Task], changes: Row) -> None:
    """Change the charger of each task. A task whose change the API refuses fails. Raises Failure."""

    def update(task: Task) -> None:
        _guarded(task, lambda: client.put(_path(task), changes))
        if task.open:
            task.state = "updated"
            task.end(Outcome.DONE)

    _for_each(update, tasks)


def delete_created(client: Client, tasks: Sequence[Task]) -> list[str]:
    """Delete the chargers that the tasks created. Returns a line for each charger that may still exist. Raises Failure."""
    for task in tasks:
        if not task.charger_id and task.body and task.state != REFUSED:  # its POST was not answered
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
    """Send the POST, or read the result. With `hold` the API holds the answer for HOLD_S, or until it is final.

    Without `hold`, only a task that seems to have ended is read so, and its answer comes at once.
    """
    if hold or (task.path and not task.command_id) or _seems_to_have_ended(client, task):
        _send(client, task) if task.path else _read(client, task)


def _seems_to_have_ended(client: Client, task: Task) -> bool:
    """Whether the charger shows the state to wait for, which may still be that before a restart."""
    _read_command(client, task)
    if not task.open or not _has_ended(task) or task.until is Until.FINAL:
        return task.open and _has_ended(task)
    _note_link(task, client.get(_path(task)), is_sure=False)
    return task.open and task.state == "accepted"


def _send(client: Client, task: Task) -> None:
    """Send the POST, or repeat it with the same key, and read the result."""
    status, answer = client.post(task.path, task.key, task.body, **_held(task))
    _note_answer(task, answer)
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
    else:  # the API could not read the charger, which may still show the session before a restart
        _note_link(task, client.get(_path(task)), is_sure=False)


def _read(client: Client, task: Task) -> None:
    """Read the newest command, then the charger, for a task without a POST."""
    _read_command(client, task, wait=HOLD_S)
    if not task.open or not _has_ended(task):
        return
    if task.until is Until.FINAL:
        task.state = _word(task)
        task.end(Outcome.DONE)
        return
    began = time.monotonic()
    charger = client.get(_path(task), **_held(task))
    # An answer that was held to the end may still show the session before a restart.
    _note_link(task, charger, is_sure=time.monotonic() - began < HOLD_S)


def _read_command(client: Client, task: Task, wait: int | None = None) -> None:
    """Read the command of the task's POST, else the charger's newest command, until it has ended."""
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
    """The query with which the API holds an answer. FINAL is its default."""
    return {"wait": HOLD_S, "until": None if task.until is Until.FINAL else task.until}


def _note_answer(task: Task, answer: Row) -> None:
    """Record the answer to a POST."""
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
    """Record the state of a charger that the CSMS has not accepted yet."""
    task.state, task.reason = state_of({"runtime": runtime})
    task.runtime = runtime
    if runtime["desired"] == "stopped":
        task.end(Outcome.FAILED, STOPPED)
    elif runtime["generation"] > generation:
        task.end(Outcome.FAILED, SUPERSEDED)


def _note_link(task: Task, charger: Row, *, is_sure: bool = True) -> None:
    """Record the state of a charger, and end the task if the CSMS has accepted it."""
    task.label, task.runtime = charger["identity"], charger["runtime"]
    task.state, task.reason = state_of(charger)
    if charger.get("status") == "FAILED":
        task.end(Outcome.FAILED, "its provisioning failed")
    elif charger["runtime"]["desired"] == "stopped":
        task.end(Outcome.FAILED, STOPPED)
    elif task.state == "accepted" and is_sure:
        task.end(Outcome.DONE)


def state_of(charger: Row) -> tuple[str, str | None]:
    """A charger's state and its reason: of its connection to the CSMS if it runs, else of its process."""
    runtime = charger["runtime"]
    if charger.get("status") in ("FAILED", "PENDING", "PROVISIONING") and runtime["observed"] != "running":
        return str(charger["status"]).lower(), runtime["reason"]
    if runtime["observed"] == "running" and runtime["desired"] == "running" and runtime["ocpp"]["state"]:
        return runtime["ocpp"]["state"], runtime["ocpp"]["reason"]
    return runtime["observed"], runtime["reason"]


def _word(task: Task) -> str:
    """The state after the task's command has succeeded."""
    event_type = task.command["event_type"] if task.command else ""
    return {"stop_charger": "stopped", "delete_charger": "deleted"}.get(event_type, "running")


def _guarded(task: Task, step: Callable[[], None]) -> None:
    """Run a step of the task. If the API refuses it, the task fails, but no other."""
    try:
        step()
    except Refused as error:
        if error.status == 401:
            raise
        task.state = task.state or REFUSED
        task.status = error.status
        task.end(Outcome.FAILED, str(error))


def _for_each(step: Callable[[Task], None], tasks: Sequence[Task]) -> None:
    with ThreadPoolExecutor(min(MAX_REQUESTS, len(tasks) or 1)) as threads:
        for _ in threads.map(step, tasks):
            pass


def _path(task: Task) -> str:
    return f"/ocpp/chargers/{segment(task.charger_id)}"


def _command_path(task: Task, command_id: str) -> str:
    return f"{_path(task)}/commands/{segment(command_id)}"
