"""The state folder: what survives from one `chargehand up` to the next."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from embedded.secret_file import close_to_others, take_away

DEFAULT_STATE_DIR = ".chargehand"
FLOWER_PASSWORD_FILE = "flower-password"  # noqa: S105 - a file's name
JWT_SECRET_FILE = "jwt-secret"  # noqa: S105 - a file's name
STACK_FILE = "stack.json"
#: What holds no secret but the names of chargers and CSMSs, and was readable for all before it was made under our umask.
MADE_OPENLY = ("ecs", "logs", "lock", "ports.json", "processes.json", "beat-schedule*")


class CannotStart(Exception):
    """A part is missing or broken. The message is for a person: a line, perhaps the end of a log."""


def state_folder() -> Path:
    """STATE_DIR, or its default in the current folder."""
    return Path(os.environ.get("STATE_DIR") or DEFAULT_STATE_DIR).absolute()


def make_state_folder(folder: Path) -> None:
    """Safe to repeat. For its owner alone, except that PostgreSQL of root, another user, may pass. Raises CannotStart."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        take_away(folder, 0o777 & ~mode)
    except OSError as error:
        raise _not_writable(folder, error) from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made if needed, for us alone. Raises CannotStart."""
    make_state_folder(folder)
    try:
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise _not_writable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"chargehand runs already on {folder} (pid {lock.read().strip()}): stop that, "
                "or choose another folder with STATE_DIR"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        close_to_others(*(path for name in MADE_OPENLY for path in folder.glob(name)))
        yield  # the lock ends with the process, whatever ends it


def _not_writable(folder: Path, error: OSError) -> CannotStart:
    return CannotStart(
        f"the state folder {folder} is not writable ({error.strerror}): choose another one with STATE_DIR"
    )
