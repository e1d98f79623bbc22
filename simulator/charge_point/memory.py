"""What a charger remembers after its process has ended: in the state file, and where the control link keeps it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.log import EventLog
from simulator.settings import Settings
from simulator.station.timers import Timers

#: The timer of a save that is due.
DUE = "save"

State = dict[str, Any]

FORMAT = 1

#: What loading or restoring an unusable file raises.
UNUSABLE = (OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Memory:
    """Saves the charger's state; does nothing without a path, and without somebody who keeps it elsewhere."""

    def __init__(
        self,
        settings: Settings,
        describe: Callable[[], State],
        timers: Timers,
        log: EventLog,
    ) -> None:
        self._path = None if settings.state_file is None else Path(settings.state_file)
        self._identity = settings.identity
        self._version = settings.ocpp_version
        self._describe = describe
        self._timers = timers
        self._log = log
        self._clean = False
        #: called at each change by whoever keeps the state elsewhere, and then takes a `snapshot`
        self.on_change: Callable[[], object] | None = None

    @property
    def enabled(self) -> bool:
        """Whether transactions survive the end of the process."""
        return self._path is not None or self.on_change is not None

    def save_soon(self) -> None:
        """Saves once for all that changes in this turn of the event loop."""
        self._changed(clean=False)
        if self._path is not None and not self._timers.is_running(None, DUE):
            self._timers.start(None, DUE, 0, self.save)

    def save_if_due(self) -> None:
        """Before a message is sent: the next process must know all that the CSMS knows."""
        if self._timers.is_running(None, DUE):
            self.save()

    def save(self, *, clean: bool = False) -> None:
        """Saves the state; a failure is a remark in the log. `clean` says that the process ends in order."""
        self._timers.cancel(None, DUE)
        self._changed(clean=clean)
        if self._path is None:
            return
        try:
            write_private(self._path, self.snapshot())
        except OSError as error:
            self._log.remark("error", f"the state file cannot be written: {error}")

    def _changed(self, *, clean: bool) -> None:
        self._clean = clean
        if self.on_change is not None:
            self.on_change()

    def snapshot(self) -> State:
        """The state, as `load` takes it in a later process."""
        whose = {"format": FORMAT, "identity": self._identity, "version": self._version}
        return whose | self._describe() | {"clean": self._clean}

    def load(self, kept: State | None = None) -> State | None:
        """The state of the file, or else a `snapshot` that was kept elsewhere; None without both.

        Raises OSError, or ValueError for the state of another charger or format.
        """
        state = self._read_file()
        if state is None:
            state = kept
        if state is None:
            return None
        if (
            not isinstance(state, dict)
            or state.get("format") != FORMAT
            or state.get("identity") != self._identity
        ):
            raise ValueError("it is another charger's, or of another version")
        if state.get("version", self._version) != self._version:
            self._log.remark("warning", f"what belongs to {state['version']} is not remembered")
            return state | _without_version(state)
        return state

    def _read_file(self) -> Any:
        """None without a file."""
        if self._path is None:
            return None
        try:
            return json.loads(self._path.read_text()) or {}
        except FileNotFoundError:
            return None


def _without_version(state: State) -> State:
    """Without the messages, transactions and charging profiles of another OCPP version."""
    connectors = [connector | {"transaction": None} for connector in state["connectors"]]
    return {"connectors": connectors, "outbox": [], "profiles": []}


def write_private(path: Path, state: State) -> None:
    """Writes the whole file or nothing. It may hold a password, so only its owner may read it."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(state, separators=(",", ":")))  # json.dump takes several times as long
    draft.replace(path)
