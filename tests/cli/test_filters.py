"""Filters on the command line: what does not match is neither listed nor changed."""

from typing import Any

import pytest

from tests.cli.conftest import Run

SITE = "the id of the location"  # in FILTERS

#: Filters, and the ends of the identities that they find among `three`.
FILTERS: list[tuple[tuple[str, ...], set[str]]] = [
    (("--status", "READY"), {"abb", "runs", "stopped"}),
    (("--status", "PENDING,FAILED"), set()),
    (("--observed", "stopped"), {"stopped"}),
    (("--observed", "running,stopped"), {"abb", "runs", "stopped"}),
    (("--ocpp-state", "accepted", "--observed", "running"), {"abb", "runs"}),
    (("--ocpp-version", "2.0.1"), {"abb"}),
    (("--ocpp-version", "1.6,OCPP2.0.1"), {"abb", "runs", "stopped"}),
    (("--attention",), set()),
    (("--brand", "abb"), {"abb"}),
    (("--model", "wallbox-pulsar-plus"), {"runs", "stopped"}),
    (("--location", SITE), {"runs"}),
    (("--brand", "abb", "--observed", "stopped"), set()),
    (("--all",), {"abb", "runs", "stopped"}),
]


@pytest.fixture
def three(run: Run, name: str, site: str) -> str:
    """One of another brand and version, one in a location, and one that is stopped; the beginning of their names."""
    created = (
        run("chargers", "create", f"{name}-abb", "--brand", "abb", "--ocpp-version", "2.0.1"),
        run("chargers", "create", f"{name}-runs", "--location", site),
        run("chargers", "create", f"{name}-stopped", "--until", "final"),
        run("chargers", "stop", f"{name}-stopped"),
    )
    assert [done.status for done in created] == [0, 0, 0, 0]
    return name


def shown(run: Run, name: str) -> dict[str, Any]:
    """Each charger by the end of its identity."""
    rows = run("chargers", "list", "--search", name, "--json").json
    return {row["identity"].rpartition("-")[2]: row for row in rows}


def test_a_list_has_the_chargers_that_match_all_filters(run: Run, three: str, site: str) -> None:
    for options, found in FILTERS:
        given = [site if option is SITE else option for option in options]
        listed = run("chargers", "list", "--search", three, *given, "--json")
        assert listed.status == 0, listed.err
        assert {row["identity"].rpartition("-")[2] for row in listed.json} == found, given


def test_a_list_is_sorted_and_read_over_all_its_pages(run: Run, three: str) -> None:
    def identities(*given: str) -> list[str]:
        listed = run("chargers", "list", "--search", three, *given, "--json")
        return [row["identity"].rpartition("-")[2] for row in listed.json]

    assert identities("--sort", "identity") == ["abb", "runs", "stopped"]
    assert identities("--sort", "-identity", "--limit", "2") == ["stopped", "runs"]
    assert identities() == ["stopped", "runs", "abb"]


def test_what_is_done_to_all_is_done_to_those_that_match(run: Run, three: str, site: str) -> None:
    before = shown(run, three)

    stopped = run("chargers", "stop", "--all", "--search", three, "--brand", "abb", "--json")
    assert [row["identity"] for row in stopped.json] == [f"{three}-abb"]
    started = run(
        "chargers", "start", "--all", "--search", three, "--observed", "stopped", "--model",
        "wallbox-pulsar-plus", "--json",
    )  # fmt: skip
    assert [row["identity"] for row in started.json] == [f"{three}-stopped"]
    after = shown(run, three)
    desired = {end: row["runtime"]["desired"] for end, row in after.items()}
    assert desired == {"abb": "stopped", "runs": "running", "stopped": "running"}
    assert after["runs"]["runtime"]["generation"] == before["runs"]["runtime"]["generation"]

    restarted = run("chargers", "restart", "--all", "--search", three, "--location", site, "--json")
    assert [row["identity"] for row in restarted.json] == [f"{three}-runs"]
    assert shown(run, three)["stopped"]["runtime"]["generation"] == after["stopped"]["runtime"]["generation"]

    deleted = run("chargers", "delete", "--all", "--search", three, "--ocpp-version", "1.6", "--json")
    assert {row["identity"] for row in deleted.json} == {f"{three}-runs", f"{three}-stopped"}
    assert set(shown(run, three)) == {"abb"}


def test_a_filter_that_matches_nothing_changes_nothing(run: Run, three: str) -> None:
    deleted = run("chargers", "delete", "--all", "--search", three, "--brand", "nobody", "--json")

    assert (deleted.status, deleted.json) == (0, [])
    assert set(shown(run, three)) == {"abb", "runs", "stopped"}


@pytest.mark.parametrize("option", ["--status", "--observed", "--ocpp-state", "--ocpp-version"])
def test_a_value_that_no_charger_can_have_is_refused_and_nothing_is_deleted(
    run: Run, name: str, option: str
) -> None:
    run("chargers", "create", name, "--no-wait", "-q")

    deleted = run("chargers", "delete", "--all", option, "NOBODY", "--yes")

    assert (deleted.status, deleted.out) == (1, "")
    assert deleted.err.startswith(f"Error: {option[2:].replace('-', '_')}: Input should be ")
    assert run("chargers", "get", name).status == 0
