"""The state folder is closed to other users."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.stack.state_folder import locked


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_files_of_an_earlier_version_and_new_files_are_closed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    (folder / "ecs" / "volumes").mkdir(parents=True)
    (folder / "logs").mkdir()
    files = ("ecs/state.sqlite", "logs/api.log", "ports.json", "beat-schedule")
    for name in files:
        (folder / name).write_text("kept")
    not_ours = folder / "notes.txt"
    not_ours.touch()

    with locked(folder):
        new = folder / "new"
        new.write_text("made now")

        folders = (folder / "ecs", folder / "ecs" / "volumes", folder / "logs")
        assert {mode(path) for path in folders} == {0o700}
        assert {mode(folder / name) for name in files} | {mode(new), mode(folder / "lock")} == {0o600}
        assert {(folder / name).read_text() for name in files} == {"kept"}
        assert mode(folder) == (0o711 if os.geteuid() == 0 else 0o700)
        assert mode(not_ours) == 0o644


@pytest.mark.usefixtures("usual_umask")
def test_files_of_another_user_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume that Kubernetes mounts is root's, and open to our group."""
    (tmp_path / "ecs" / "lost+found").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    with locked(tmp_path):
        assert mode(tmp_path / "ecs") == mode(tmp_path / "ecs" / "lost+found") == 0o755


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
