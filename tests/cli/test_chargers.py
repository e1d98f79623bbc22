"""chargehand chargers, commands and catalog, against a running stack."""

import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import COMMAND, NOBODY, Run, description_of, environment_of
from tests.cli.proxies import Unlucky, served
from tests.support.http import PLAIN_HTTP
from tests.support.stack import ecs_owner
from tests.support.waiting import wait_until


def test_create_returns_when_the_csms_has_accepted_the_charger(run: Run, name: str) -> None:
    created = run("chargers", "create", name, "--json")

    assert (created.status, created.err) == (0, "")
    assert (created.json["identity"], created.json["ok"], created.json["state"]) == (name, True, "accepted")
    shown = run("chargers", "get", name, "--json").json
    assert (shown["id"], shown["runtime"]["ocpp"]["state"]) == (created.json["id"], "accepted")
    assert re.search(rf"{name} +1\.6 +accepted", run("chargers", "list", "--search", name).out)
    assert "Wallbox Pulsar Plus" in run("chargers", "get", created.json["id"]).out


def test_create_numbers_many_chargers_and_prints_their_ids_alone_with_quiet(run: Run, name: str) -> None:
    created = run(
        "chargers",
        "create",
        f"{name}-{{n}}",
        "--count",
        "3",
        "-q",
        "--brand",
        "abb",
        "--ocpp-version",
        "2.0.1",
    )

    ids = created.out.split()
    assert (created.status, created.err, len(ids)) == (0, "", 3)
    shown = run("chargers", "get", *ids, "--json").json
    assert [row["identity"] for row in shown] == [f"{name}-1", f"{name}-2", f"{name}-3"]
    assert {(row["vendor_name"], row["ocpp_version"]) for row in shown} == {("ABB", "OCPP2.0.1")}


def test_stop_start_and_restart_take_several_ids_and_identities(run: Run, name: str) -> None:
    one, two = run("chargers", "create", f"{name}-1", f"{name}-2", "-q").out.split()

    stopped = run("chargers", "stop", one, f"{name}-2", "--json")
    assert (stopped.status, [row["state"] for row in stopped.json]) == (0, ["stopped", "stopped"])
    assert run("chargers", "get", two, "--json").json["runtime"]["observed"] == "stopped"

    started = run("chargers", "start", f"{name}-1", two, "--json")
    assert (started.status, [row["state"] for row in started.json]) == (0, ["accepted", "accepted"])

    restarted = run("chargers", "restart", one)
    assert restarted.status == 0
    listed = run("commands", "list", f"{name}-1", "--json").json
    assert [row["event_type"] for row in listed] == [
        "reset_charger",
        "start_charger",
        "stop_charger",
        "create_charger",
    ]
    assert {row["status"] for row in listed} == {"succeeded"}


def test_a_charger_that_no_csms_accepts_in_time_ends_with_3_and_the_reason(run: Run, name: str) -> None:
    created = run("chargers", "create", name, "--ws-url", NOBODY, "--timeout", "9")

    assert created.status == 3
    assert re.search(
        rf"^Error: {name} \(dep-\w+\): not accepted in time: \w+, nothing listens on 127.0.0.1:9$",
        created.err,
        re.MULTILINE,
    )
    waited = run("chargers", "wait", name, "--timeout", "1", "--json")
    assert (waited.status, waited.json["ok"], waited.json["outcome"]) == (3, False, "timed out")
    assert run("chargers", "wait", name, "--until", "final").status == 0


def test_waiting_for_the_csms_of_a_stopped_charger_fails_at_once(run: Run, name: str) -> None:
    run("chargers", "create", name, "--ws-url", NOBODY, "--until", "final")
    run("chargers", "stop", name)

    waited = run("chargers", "wait", name)

    assert waited.status == 1
    assert "it is stopped" in waited.err


def test_a_command_that_a_newer_one_supersedes_has_failed(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    charger = run("chargers", "create", name, "--json").json
    rule = {"kind": "delay", "action": "UpdateService", "service": charger["id"], "seconds": 2, "count": 1}
    stack = description_of(chargehand)
    owner = ecs_owner(stack["environment"])
    httpx.put(f"{stack['ecs']}/_chargehand/faults", json=[rule], auth=owner, **PLAIN_HTTP).raise_for_status()
    stop = subprocess.Popen(
        [*COMMAND, "chargers", "stop", name],
        env=environment_of(chargehand),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    commands = f"/ocpp/chargers/{charger['id']}/commands"
    wait_until(lambda: chargehand.client.get(commands)["data"][0]["event_type"] == "stop_charger")

    chargehand.client.post(f"/ocpp/chargers/{charger['id']}/start-charger", uuid4().hex)

    assert stop.wait(timeout=30) == 1
    assert stop.stderr is not None
    assert "a newer command came before it was done" in stop.stderr.read()
    stop.stderr.close()


def test_all_names_that_no_charger_has_are_in_the_error_and_nothing_is_done(run: Run, name: str) -> None:
    run("chargers", "create", name, "-q")

    stopped = run("chargers", "stop", "no-such-1", name, "dep-0000")

    assert (stopped.status, stopped.out) == (1, "")
    assert stopped.err == "Error: no charger has the id or identity no-such-1 or dep-0000\n"
    assert run("chargers", "get", name, "--json").json["runtime"]["desired"] == "running"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("create", "no/slash"), 1, "no/slash: identity: Identity should have only letters"),
        (("create", "--ws-url", "http://x"), 1, "ws_url: "),
        (("create", "--brand", "nobody"), 1, "nobody"),
        (("create", "--model", "nobody"), 1, "the catalog has no model nobody"),
        (("create", "a", "b", "--count", "2"), 2, "--count takes one identity"),
        (("create", "--until", "tomorrow"), 2, "'tomorrow' is not one of 'accepted', 'final'"),
        (("stop",), 2, "name chargers by their id or identity, or use --all"),
        (("stop", "--all"), 2, "--all without a filter needs --yes"),
        (("delete", "CP-1", "--all"), 2, "name chargers, or use --all and filters, not both"),
        (("get",), 2, "name chargers by their id or identity"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(
    run: Run, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = (
        run("chargers", *arguments, "--timeout", "1")
        if arguments[0] == "create"
        else run("chargers", *arguments)
    )

    assert done.status == status
    assert message in done.err.splitlines()[-1]


def test_an_identity_that_is_taken_is_refused_with_json_too(run: Run, name: str) -> None:
    run("chargers", "create", name, "-q")

    again = run("chargers", "create", name, "--json")

    assert again.status == 1
    assert (again.json["ok"], again.json["reason"]) == (False, f"Identity {name} already exists")
    assert again.err == f"Error: {name}: Identity {name} already exists\n"


def test_delete_without_a_terminal_deletes_what_is_named(run: Run, name: str) -> None:
    run("chargers", "create", f"{name}-1", f"{name}-2", "-q", "--no-wait")

    deleted = run("chargers", "delete", f"{name}-1", f"{name}-2", "--json")

    assert (deleted.status, [row["state"] for row in deleted.json]) == (0, ["deleted", "deleted"])
    assert run("chargers", "get", f"{name}-1").status == 1


def test_the_catalog_lists_models_of_one_brand_or_of_all(run: Run) -> None:
    abb = run("catalog", "abb", "--json").json
    every = run("catalog", "--json").json

    assert {row["brand_slug"] for row in abb} == {"abb"}
    assert len({row["brand_slug"] for row in every}) > 10
    assert re.search(r"abb +terra-184 +Terra 184 +dc +90, 180 +CCS2, CHAdeMO", run("catalog", "abb").out)
    assert run("catalog", "nobody").status == 1


def test_ctrl_c_ends_a_wait_with_130_and_without_a_trace(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    run("chargers", "create", name, "--ws-url", NOBODY, "--until", "final")
    waiting = subprocess.Popen(
        [*COMMAND, "chargers", "wait", name],
        env=environment_of(chargehand),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stderr is not None
    assert name in waiting.stderr.readline()  # the first state

    waiting.send_signal(signal.SIGINT)

    out, err = waiting.communicate(timeout=10)
    assert (waiting.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_a_create_whose_answer_was_lost_is_repeated_and_creates_one_charger(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    with served(Unlucky, chargehand.url) as url:
        created = run("chargers", "create", name, "--no-wait", "--json", CHARGEHAND_URL=url)

    assert (created.status, created.err) == (0, "")
    assert len(run("commands", "list", name, "--json").json) == 1


def test_chargers_are_found_by_their_labels(run: Run, name: str) -> None:
    run(
        "chargers",
        "create",
        f"{name}-1",
        "--label",
        f"run={name}",
        "--label",
        "team=roaming",
        "--no-wait",
        "-q",
    )
    run("chargers", "create", f"{name}-2", "--label", f"run={name}", "--no-wait", "-q")

    def found(*labels: str) -> list[str]:
        options = [word for label in labels for word in ("--label", label)]
        rows = run("chargers", "list", *options, "--sort", "identity", "--json").json
        return [row["identity"] for row in rows]

    assert found(f"run={name}") == [f"{name}-1", f"{name}-2"]
    assert found(f"run={name}", "team") == [f"{name}-1"]
    assert found(f"run={name}", "team=payment") == []
    assert f"run={name}, team=roaming" in run("chargers", "get", f"{name}-1").out
    preview = run("chargers", "delete", "--all", "--label", f"run={name}", "--dry-run", "--json")
    assert preview.json["total"] == 2


def test_a_charger_with_a_time_to_live_shows_when_it_goes(run: Run, name: str) -> None:
    created = run("chargers", "create", name, "--ttl", "2h", "--no-wait", "--quiet")
    assert created.status == 0, created.err

    shown = run("chargers", "get", name, "--json").json
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=115) < left < timedelta(minutes=121)
    assert run("chargers", "create", f"{name}-2", "--ttl", "soon").status == 2


def test_a_label_without_a_value_is_wrong_usage_and_a_bad_one_is_refused(run: Run, name: str) -> None:
    assert run("chargers", "create", name, "--label", "smoke").status == 2
    refused = run("chargers", "create", name, "--label", "bad name=1")
    assert refused.status == 1
    assert "labels.bad name: " in refused.err


def test_chargers_are_changed_and_what_is_cleared_is_gone(run: Run, name: str, site: str) -> None:
    one, two = f"{name}-1", f"{name}-2"
    run("chargers", "create", one, two, "--label", "run=1", "--ttl", "1h", "--no-wait", "-q")

    changed = run(
        *("chargers", "update", one, two, "--location", name, "--label", "team=roaming", "--ttl", "3h"),
        *("--name", "Bay", "--ocpp-version", "2.0.1", "--placement", "dedicated", "--json"),
    )

    assert changed.status == 0, changed.err
    assert [row["state"] for row in changed.json] == ["updated", "updated"]
    shown = run("chargers", "get", one, "--json").json
    assert (shown["location_id"], shown["labels"]) == (site, {"team": "roaming"})
    assert (shown["name"], shown["ocpp_version"]) == ("Bay", "OCPP2.0.1")
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=170) < left < timedelta(minutes=181)
    assert run("chargers", "update", two, "--no-location", "--no-label", "--no-ttl").status == 0
    shown = run("chargers", "get", two, "--json").json
    assert (shown["location_id"], shown["labels"], shown["expires_at"]) == (None, {}, None)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("CP-1",), "say what to change"),
        (("--ttl", "1h"), "name chargers by their id or identity"),
        (("CP-1", "--ttl", "1h", "--no-ttl"), "--ttl and --no-ttl exclude each other"),
        (("CP-1", "--location", "HUB", "--no-location"), "--location and --no-location exclude each other"),
    ],
)
def test_a_change_that_is_not_clear_is_wrong_usage(run: Run, arguments: tuple[str, ...], why: str) -> None:
    done = run("chargers", "update", *arguments)

    assert (done.status, why in done.err) == (2, True)


def test_a_change_that_the_api_refuses_fails_for_that_charger(run: Run, name: str) -> None:
    run("chargers", "create", name, "--no-wait", "-q")

    refused = run("chargers", "update", name, "--connector", "Steam", "--json")

    assert (refused.status, refused.json["ok"], refused.json["state"]) == (1, False, "refused")
    assert "Steam" in refused.err or "connector" in refused.err
