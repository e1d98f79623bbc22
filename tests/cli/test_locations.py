"""`chargehand locations`: sites, and what is requested of all their chargers."""

from pathlib import Path

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
        (("create", "HUB", "--coordinates", "nan,9.99"), "is not LATITUDE,LONGITUDE"),
        (("create", "HUB"), "Missing option"),
        (("update", "HUB", "--ttl", "soon"), "is not a time span"),
        (("update", "HUB", "--ttl", "1h", "--no-ttl"), "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(run: Run, arguments: tuple[str, ...], why: str) -> None:
    done = run("locations", *arguments)

    assert done.status == 2
    assert why in done.err


def test_locations_are_found_by_labels_and_have_a_time_to_live(run: Run, name: str) -> None:
    label = ("--label", f"run={name}")
    created = run("locations", "create", name, *PLACE, *label, "--ttl", "1h", "--json").json
    assert (created["labels"], created["expires_at"] is None) == ({"run": name}, False)
    assert run("locations", "list", *label, "--quiet").out.strip() == created["id"]

    kept = run("locations", "update", name, "--no-ttl", "--label", "team=roaming", "--json").json
    assert (kept["labels"], kept["expires_at"]) == ({"team": "roaming"}, None)
    assert run("locations", "list", *label, "--quiet").out == ""
    assert run("locations", "delete", name, "--yes").status == 0


def test_the_report_of_a_location_is_printed_or_written_to_a_file(
    run: Run, site: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.xml"

    assert run("locations", "report", site).out.splitlines()[0].split() == ["Chargers", "0"]
    assert run("locations", "report", site, "--output", str(file)).status == 0
    assert file.read_text().startswith("<?xml")
    assert run("locations", "report", site, "--format", "csv").out.startswith("charger_id,")
    assert run("locations", "report", site, "-o", str(tmp_path / "report.txt")).status == 2
    nowhere = run("locations", "report", site, "-o", str(tmp_path / "nowhere" / "report.csv"))
    assert (nowhere.status, "cannot be written: No such file" in nowhere.err) == (1, True)


def test_the_chargers_of_a_location_are_listed_stopped_and_started_together(
    run: Run, name: str, site: str
) -> None:
    done = run(
        *("chargers", "create", f"{name}-{{n}}", "--count", "2", "--ws-url", NOBODY, "--location", name),
        *("--until", "final"),
    )
    assert done.status == 0, done.err

    assert len(run("locations", "chargers", name, "--quiet").out.split()) == 2
    assert len(run("chargers", "list", "--location", name, "--quiet").out.split()) == 2
    nowhere = run("chargers", "delete", "--all", "--location", "nowhere", "--yes")
    assert (nowhere.status, nowhere.err) == (1, "Error: no location has the id, slug or name nowhere\n")
    assert f"{name}-1" in run("locations", "chargers", site, "--search", f"{name}-1").out
    preview = run("locations", "stop", name, "--dry-run", "--json")
    assert preview.json["total"] == 2
    stopped = run("locations", "stop", name, "--rate", "10", "--json")
    assert (stopped.status, stopped.json["counts"]["succeeded"]) == (0, 2), stopped.err
    assert (
        run("locations", "chargers", site, "--observed", "stopped", "--json").json[1]["location_id"] == site
    )
    started = run("locations", "start", site)
    assert "2 of 2 done" in started.out
    assert run("locations", "restart", site, "--no-wait", "--quiet").status == 0
    assert run("locations", "delete", site, "--yes").status == 0
    assert run("chargers", "list", "--search", name, "--quiet").out == ""
