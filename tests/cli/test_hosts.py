"""`chargehand hosts`: lists hosts, shows one, and drains it."""

from copy import deepcopy
from typing import Any

import pytest

from api.http.hosts.examples import HOST
from chargehand.hosts import print_host
from tests.cli.conftest import Run


def test_a_host_is_shown_with_what_it_is_short_of(capsys: pytest.CaptureFixture[str]) -> None:
    host: Any = deepcopy(HOST.answer)
    host["short_of"] = ["CPU: its timers are 812 ms late"]

    print_host(host, as_json=False)

    out = capsys.readouterr().out
    assert "998 of 1000" in out
    assert "its timers are 812 ms late" in out
    assert "3.1" in out
    assert "57" in out  # MiB


def test_hosts_are_listed_as_a_table_and_as_json(run: Run) -> None:
    table, listed = run("hosts", "list"), run("hosts", "list", "--state", "running,starting", "--json")

    assert (table.status, listed.status) == (0, 0)
    assert "Capacity" in table.out
    assert isinstance(listed.json, list)
    assert run("hosts", "list", "--state", "gone").status == 1


def test_a_host_that_is_not_there_is_neither_shown_nor_drained(run: Run) -> None:
    for command in ("get", "drain"):
        done = run("hosts", command, "host-of-nobody")
        assert done.status == 1
        assert "Host host-of-nobody not found" in done.err
