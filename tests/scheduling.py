"""Distribute the tests over the processes of `make test`: what shares a stack stays together, the slowest starts first."""

import pytest
from xdist.scheduler import LoadFileScheduling

#: Folders whose files share servers for the session, and files that take longest. They are run before the others, in
#: this order, so that none of them is left for one process at the end.
FIRST = (
    "tests/docs/test_pages.py",
    "tests/contract/http/",
    "tests/contract/",
    "tests/dashboard/",
    "tests/cli/",
    "tests/embedded/stack/",
    "tests/faults/test_faults.py",
    "tests/hosts/",
    "tests/scripts/test_install.py",
    "tests/worker/test_lifecycle.py",
)


class LoadStackScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Send a folder or file of FIRST to one process, and every other file to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, FIRST), super()._split_scope(nodeid))


def sort_slowest_first(items: list[pytest.Item]) -> None:
    """Move the tests of FIRST to the front. All others keep their random order."""
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(
        key=lambda item: next((order[name] for name in FIRST if item.nodeid.startswith(name)), len(FIRST))
    )
