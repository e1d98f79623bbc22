"""Random secrets in the state folder, and that nobody but its owner reads anything there."""

import contextlib
import os
import secrets
from pathlib import Path
from stat import S_IMODE, S_ISLNK


def ensure_secret(file: Path, size: int = 32) -> str:
    """The secret in `file`, made at the first call: `size` random bytes, safe in URLs."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(size))
    return file.read_text().strip()


def close_to_others(*paths: Path) -> None:
    """From now on this process and its children make files for their owner alone; so become those in `paths`."""
    os.umask(0o077)
    for path in paths:
        for each in (path, *path.rglob("*")):
            take_away(each, 0o077)


def take_away(path: Path, rights: int) -> None:
    """Not of a link, and not of what belongs to somebody else: lost+found, or a volume that Kubernetes mounts."""
    with contextlib.suppress(FileNotFoundError):  # a leftover process may still end
        seen = path.lstat()
        if not S_ISLNK(seen.st_mode) and seen.st_uid == os.geteuid():
            path.chmod(S_IMODE(seen.st_mode) & ~rights)


def write_private(file: Path, text: str) -> None:
    """Replace the file as a whole. Nobody else can read it, not even for a moment."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode=0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    new.replace(file)
