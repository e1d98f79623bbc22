"""`chargehand catalog` and `chargehand templates`: what chargers and sites there are."""

from tests.cli.conftest import Run


def test_templates_are_listed_with_their_chargers_by_type_and_version(run: Run) -> None:
    everything = run("templates", "--json").json
    assert {"urban-ac-hub", "highway-dc-station"} <= {row["slug"] for row in everything}

    shown = run("templates", "--type", "AC", "--ocpp-version", "1.6")
    assert "urban-ac-hub" in shown.out
    assert "wallbox-pulsar-plus" in shown.out
    assert "highway-dc-station" not in shown.out
    assert run("templates", "--type", "WIND").status == 2
