"""Finds, creates and locks the state folder, which keeps the data of `chargehand up` from one run to the next."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from embedded.secret_file import close_to_others, remove_rights

DEFAULT_STATE_DIR = ".chargehand"
CONTROL_SECRET_FILE = "control-secret"  # noqa: S105 - a file's name
ENCRYPTION_KEY_FILE = "encryption-key"
FLOWER_PASSWORD_FILE = "flower-password"  # noqa: S105 - a file's name
JWT_SECRET_FILE = "jwt-secret"  # noqa: S105 - a file's name
STACK_FILE = "stack.json"
#: Files that earlier versions made readable for all users. They have no secrets, but names of chargers and CSMSs.
ONCE_READABLE = ("ecs", "logs", "lock", "ports.json", "processes.json", "beat-schedule*")


class CannotStart(Exception):
    """A program or a setting does not work. The message is one line for people, or has the end of a log too."""


def state_folder() -> Path:
    """STATE_DIR, else DEFAULT_STATE_DIR in the current folder."""
    return Path(os.environ.get("STATE_DIR") or DEFAULT_STATE_DIR).absolute()


def make_state_folder(folder: Path) -> None:
    """Create the folder, closed to other users. Safe to repeat. Raises CannotStart.

    A folder of root can be entered, because PostgreSQL then runs as another user.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        remove_rights(folder, 0o777 & ~mode)
    except OSError as error:
        raise _not_writable(folder, error) from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder if needed, and lock it for the length of a with-block. Raises CannotStart."""
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
        close_to_others(*(path for name in ONCE_READABLE for path in folder.glob(name)))
        yield  # the lock ends with the process, even if that is killed


def _not_writable(folder: Path, error: OSError) -> CannotStart:
    return CannotStart(
        f"the state folder {folder} is not writable ({error.strerror}): choose another one with STATE_DIR"
    )
