"""Writes files that only their owner can read, and creates the secrets of the state folder."""

import contextlib
import os
import secrets
from pathlib import Path
from stat import S_IMODE, S_ISLNK


def ensure_secret(file: Path, size: int = 32) -> str:
    """The secret in `file`, created by the first call: `size` random bytes, URL-safe. Safe to repeat."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(size))
    return file.read_text().strip()


def close_to_others(*paths: Path) -> None:
    """Close `paths` and what is in them to other users, and files that this process and its children create. Safe to repeat."""
    os.umask(0o077)
    for path in paths:
        for each in (path, *path.rglob("*")):
            remove_rights(each, 0o077)


def remove_rights(path: Path, rights: int) -> None:
    """Remove permission bits. Skips links, and what another user owns, such as lost+found or a volume of Kubernetes."""
    with contextlib.suppress(FileNotFoundError):  # a leftover process may still remove files
        seen = path.lstat()
        if not S_ISLNK(seen.st_mode) and seen.st_uid == os.geteuid():
            path.chmod(S_IMODE(seen.st_mode) & ~rights)


def write_private(file: Path, text: str) -> None:
    """Replace the file atomically. Other users can read it at no moment."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode=0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    new.replace(file)
