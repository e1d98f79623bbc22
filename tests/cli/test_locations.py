"""`chargehand locations`: sites, and what is requested of all their chargers."""

import pytest

from tests.cli.conftest import NOBODY, PLACE, Run


def test_a_location_is_created_shown_changed_and_deleted(run: Run, name: str) -> None:
    created = run("locations", "create", name, *PLACE, "--json")
    assert created.status == 0, created.err
    location_id, slug = created.json["id"], created.json["slug"]
    assert location_id in run("locations", "list").out
    assert run("locations", "list", "--quiet", "--limit", "1").out.strip() == location_id

    shown = run("locations", "get", name)
    assert "Jungfernstieg 1, Hamburg, DE" in shown.out
    assert "53.55, 9.99" in shown.out
    changed = run(
        "locations", "update", slug, "--name", f"{name} west", "--timezone", "Europe/Berlin", "--json"
    )
    assert (changed.json["name"], changed.json["timezone"]) == (f"{name} west", "Europe/Berlin")
    assert run("locations", "update", location_id).status == 2

    deleted = run("locations", "delete", f"{name} west", "--yes", "--json")
    assert [row["state"] for row in deleted.json] == ["deleted"]
    missing = run("locations", "get", location_id)
    assert (missing.status, missing.err) == (
        1,
        f"Error: no location has the id, slug or name {location_id}\n",
    )


def test_a_name_of_two_locations_is_no_name_of_either(run: Run, name: str, site: str) -> None:
    twin = run("locations", "create", name, *PLACE, "--quiet").out.strip()

    refused = run("locations", "delete", name, "--yes")

    assert refused.status == 1
    assert site in refused.err
    assert twin in refused.err
    assert run("locations", "delete", site, twin, "--yes").status == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("create", "HUB", "--coordinates", "53.55"), "is not LATITUDE,LONGITUDE"),
        (("create", "HUB"), "Missing option"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(run: Run, arguments: tuple[str, ...], why: str) -> None:
    done = run("locations", *arguments)

    assert done.status == 2
    assert why in done.err


def test_the_chargers_of_a_location_are_listed_by_its_name(run: Run, name: str, site: str) -> None:
    done = run(
        *("chargers", "create", f"{name}-{{n}}", "--count", "2", "--ws-url", NOBODY, "--location", name),
        *("--no-wait", "--quiet"),
    )
    assert done.status == 0, done.err

    assert len(run("locations", "chargers", name, "--quiet").out.split()) == 2
    assert len(run("chargers", "list", "--location", name, "--quiet").out.split()) == 2
    nowhere = run("chargers", "delete", "--all", "--location", "nowhere", "--yes")
    assert (nowhere.status, nowhere.err) == (1, "Error: no location has the id, slug or name nowhere\n")
    (found,) = run("locations", "chargers", site, "--search", f"{name}-1", "--json").json
    assert (found["identity"], found["location_id"]) == (f"{name}-1", site)
