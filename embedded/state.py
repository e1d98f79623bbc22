"""The state folder: what survives from one `chargehand up` to the next."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

DEFAULT_STATE_DIR = ".chargehand"
JWT_SECRET_FILE = "jwt-secret"  # noqa: S105 - a file's name


class CannotStart(Exception):
    """A part is missing or broken. The message is for a person: a line, perhaps the end of a log."""


def state_folder() -> Path:
    """STATE_DIR, or its default in the current folder."""
    return Path(os.environ.get("STATE_DIR") or DEFAULT_STATE_DIR).absolute()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made if needed, for us alone. Raises CannotStart."""
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)  # others walk through: PostgreSQL of root does
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise CannotStart(
            f"the state folder {folder} is not writable ({error.strerror}): choose another one with STATE_DIR"
        ) from error
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
        yield  # the lock ends with the process, whatever ends it
