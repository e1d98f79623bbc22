"""Which tests are end to end, and how the tests are distributed over processes: what shares a stack stays together."""

import pytest
from xdist.scheduler import LoadFileScheduling

#: Folders and files that start processes of the product, browsers or hundreds of chargers, or try hundreds of events in any
#: order. `make test` leaves them out, `make end-to-end` runs them: each folder or file in one process, the slowest first, so
#: that none of them is left for one process at the end.
END_TO_END = (
    "tests/docs/test_pages.py",
    "tests/contract/http/",
    "tests/contract/",
    "tests/dashboard/",
    "tests/cli/",
    "tests/embedded/stack/",
    "tests/faults/test_faults.py",
    "tests/hosts/",
    "tests/worker/reconcile/test_state_machine.py",
    "tests/worker/test_lifecycle.py",
    "tests/worker/hosts/test_machine.py",
    "tests/scripts/test_install.py",
    "tests/worker/reports/test_processes.py",
    "tests/api/test_server.py",
    "tests/api/test_server_limits.py",
    "tests/api/test_shutdown.py",
    "tests/link/test_faults.py",
    "tests/link/test_host_faults.py",
    "tests/link/test_host_process.py",
    "tests/link/test_process.py",
    "tests/simulator/host/test_neighbours.py",
    "tests/simulator/host/test_turn.py",
    "tests/simulator/test_neighbours.py",
    "tests/embedded/test_bad_settings.py",
    "tests/embedded/test_containers.py",
)


class LoadStackScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Send a folder or file of END_TO_END to one process, and every other file to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, END_TO_END), super()._split_scope(nodeid))


def mark_end_to_end(item: pytest.Item) -> None:
    """Mark the test if it is one of END_TO_END."""
    if item.nodeid.startswith(END_TO_END):
        item.add_marker("end_to_end")


def sort_slowest_first(items: list[pytest.Item]) -> None:
    """Move the tests of END_TO_END to the front. All others keep their random order."""
    order = {name: place for place, name in enumerate(END_TO_END)}
    items.sort(
        key=lambda item: next(
            (order[name] for name in END_TO_END if item.nodeid.startswith(name)), len(END_TO_END)
        )
    )
