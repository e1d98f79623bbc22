"""Compare the answers that clients got with the rows and with ECS."""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.models import Charger, Command
from shared.vocabulary import FINAL, CommandStatus, EventType
from tests.faults.load import Answer
from tests.faults.rig import CLUSTER, Rig

POLL_EVERY_S = 0.1
RESTARTED_FOR = re.compile(r"Chargehand restart, generation (\d+)")


@dataclass
class Verdict:
    """One fault's line in the table. `wrong` is text for people."""

    fault: str
    seed: int
    accepted: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    twice: int = 0  #: restarts that ended more than one task
    refused: int = 0  #: answers of 5xx, or none, that the fault explains
    not_allowed: list[str] = field(default_factory=list)  #: those that it does not
    p99_s: float = 0.0
    slowest_s: float = 0.0
    converged_s: float | None = None  #: after the fault's end; none when it was not in time

    @property
    def row(self) -> tuple[str, ...]:
        converged = "never" if self.converged_s is None else f"{self.converged_s:.1f}"
        return (
            self.fault,
            *map(str, (self.accepted, self.lost, len(self.wrong), self.twice)),
            *map(str, (self.refused, len(self.not_allowed))),
            f"{self.p99_s:.2f}",
            f"{self.slowest_s:.2f}",
            converged,
            str(self.seed),
        )


HEADER = (
    "fault",
    "accepted",
    "lost",
    "wrong",
    "twice",
    "5xx",
    "bad 5xx",
    "p99 s",
    "max s",
    "converged s",
    "seed",
)


@dataclass(frozen=True)
class Rows:
    """The database at one moment."""

    chargers: dict[str, Charger]
    commands: dict[str, Command]  #: by id

    @property
    def settled(self) -> bool:
        """Every command is final, and the rows are as desired."""
        return all(command.status in FINAL for command in self.commands.values()) and all(
            charger.observed_generation == charger.settled_generation == charger.generation
            and charger.drifted_at is None
            and (charger.running_count, charger.pending_count) == (charger.desired_count, 0)
            for charger in self.chargers.values()
        )


def read_rows(engine: Engine, since: datetime) -> Rows:
    """All chargers, and the commands since that time."""
    recent = select(Command).where(Command.created_at >= since)
    with Session(engine) as session, session.begin():
        chargers = {charger.id: charger for charger in session.scalars(select(Charger))}
        commands = {str(command.id): command for command in session.scalars(recent)}
        session.expunge_all()
    return Rows(chargers, commands)


class Watcher:
    """Polls the rows for states that must never occur, not even for a moment."""

    def __init__(self, engine: Engine, since: datetime) -> None:
        self.seen: list[str] = []  #: what was wrong
        self._engine = engine
        self._since = since
        self._before: Rows | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_EVERY_S):
            try:
                rows = read_rows(self._engine, self._since)
            except SQLAlchemyError:
                continue  # the fault may be the database's
            if self._before is not None:
                self.seen += went_wrong(self._before, rows)
            self._before = rows


def went_wrong(before: Rows, after: Rows) -> list[str]:
    """Changes between two polls that must not happen."""
    wrong = []
    for charger_id, charger in before.chargers.items():
        later = after.chargers.get(charger_id)
        if later is None:
            wrong.append(f"{charger_id}: the row is gone")
            continue
        if later.observed_generation < charger.observed_generation:
            wrong.append(f"{charger_id}: observed_generation fell to {later.observed_generation}")
        if later.generation < charger.generation:
            wrong.append(f"{charger_id}: generation fell to {later.generation}")
    for command_id, command in before.commands.items():
        later_command = after.commands.get(command_id)
        if later_command is None:
            wrong.append(f"command {command_id}: the row is gone")
            continue
        status = later_command.status
        if status == command.status:
            continue
        overtaken = command.generation < before.chargers[command.charger_id].generation
        if command.status in FINAL or (command.status, status) == ("applied", "queued"):
            wrong.append(f"command {command_id} went from {command.status} to {status}")
        if overtaken and status != CommandStatus.SUPERSEDED:
            wrong.append(f"command {command_id} became {status} while a newer one stood")
    return wrong


def wait_until_settled(rig: Rig, since: datetime, within_s: float) -> float | None:
    """Seconds until rows and ECS are as last requested. None if that takes longer than `within_s`."""
    began = time.monotonic()
    while time.monotonic() < began + within_s:
        rig.restart_dead()
        rows = read_rows(rig.engine, since)
        if rows.settled and not differences(rig, rows):
            return time.monotonic() - began
        time.sleep(POLL_EVERY_S)
    return None


def differences(rig: Rig, rows: Rows) -> list[str]:
    """Chargers whose service differs from their newest command."""
    services = rig.services()
    wrong = []
    for charger in rows.chargers.values():
        wanted = 0 if charger.newest_event_type == EventType.STOP_CHARGER else 1
        service = services.get(charger.id)
        if service is None:
            wrong.append(f"{charger.id}: no service")
        elif (service.desired_count, service.running_count) != (wanted, wanted):
            wrong.append(f"{charger.id}: wanted {wanted}, {service}")
        if charger.desired_count != wanted:
            wrong.append(f"{charger.id}: {charger.newest_event_type}, but desired {charger.desired_count}")
    return wrong


def judge(verdict: Verdict, rig: Rig, before: Rows, answers: list[Answer], since: datetime) -> None:
    """Fill in the verdict by comparing the answers with the rows and ECS."""
    rows = read_rows(rig.engine, since)
    accepted = [answer for answer in answers if answer.status == 202]
    ids = {answer.command_id for answer in accepted if answer.command_id is not None}
    verdict.accepted = len(ids)
    verdict.lost = sum(
        command_id not in rows.commands or rows.commands[command_id].status not in FINAL for command_id in ids
    )
    verdict.wrong += differences(rig, rows) + not_requested(rows, answers)
    verdict.wrong += [
        f"{command.id} failed: {command.error}"
        for command in rows.commands.values()
        if command.status == "failed"
    ]
    verdict.twice = restarted_twice(rig, before)
    took = sorted(answer.took_s for answer in answers)
    if took:
        verdict.p99_s, verdict.slowest_s = took[int(len(took) * 0.99)], took[-1]


def not_requested(rows: Rows, answers: list[Answer]) -> list[str]:
    """Chargers whose newest command is not the last one that a client got an answer for."""
    newest: dict[str, Answer] = {}
    for answer in answers:
        if answer.status == 202 and answer.generation >= newest.get(answer.charger_id, answer).generation:
            newest[answer.charger_id] = answer
    unanswered = Counter(answer.charger_id for answer in answers if answer.status in {0, 500, 502, 503, 504})
    wrong = []
    for charger_id, answer in newest.items():
        charger = rows.chargers[charger_id]
        ahead = charger.generation - answer.generation
        if not 0 <= ahead <= unanswered[charger_id]:
            wrong.append(f"{charger_id}: generation {charger.generation}, last answer {answer}")
        if ahead == 0 and str(charger.newest_command_id) != answer.command_id:
            wrong.append(f"{charger_id}: command {charger.newest_command_id}, last answer {answer}")
    return wrong


def restarted_twice(rig: Rig, before: Rows) -> int:
    """Restarts since then for which ECS stopped more than one task."""
    ended: Counter[tuple[str, int]] = Counter()
    for charger_id in rig.chargers:
        pages = rig.boto.get_paginator("list_tasks").paginate(
            cluster=CLUSTER, serviceName=charger_id, desiredStatus="STOPPED"
        )
        for page in pages:
            if not page["taskArns"]:
                continue
            for task in rig.boto.describe_tasks(cluster=CLUSTER, tasks=page["taskArns"])["tasks"]:
                match = RESTARTED_FOR.search(task.get("stoppedReason", ""))
                if match:
                    ended[charger_id, int(match[1])] += 1
    return sum(
        times > 1 and generation > before.chargers[charger_id].generation
        for (charger_id, generation), times in ended.items()
    )
