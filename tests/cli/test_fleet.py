"""`chargehand fleet`: many chargers that are created, waited for and deleted together."""

import signal
import subprocess
from collections.abc import Iterator

import pytest

from chargehand.client.failures import Failure
from chargehand.client.fleet_plan import Plan, create_fleet, spread
from chargehand.client.standing import Standing
from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import COMMAND, NOBODY, Run, environment_of
from tests.cli.proxies import Proxy, Unlucky, served
from tests.support.waiting import wait_until


class WithoutChargers(Proxy):
    """Cannot create chargers now."""

    def do_POST(self) -> None:
        if self.path.endswith("/chargers"):
            self.refuse(503, {"Retry-After": "0"})
        else:
            self.hand_on()

    def do_DELETE(self) -> None:
        self.hand_on()


@pytest.fixture(autouse=True)
def _fleet_is_deleted(name: str, chargehand: RunningStack) -> Iterator[None]:
    yield
    for row in chargehand.client.rows("/ocpp/locations"):
        if row["name"] == name:
            chargehand.client.delete(f"/ocpp/locations/{row['id']}")


def test_a_fleet_comes_is_accepted_and_goes(run: Run, name: str) -> None:
    up = run("fleet", "up", "--name", name, "--count", "3", "--prefix", f"{name}-", "--json")
    assert up.status == 0, up.err
    identities = [f"{name}-{number}" for number in (1, 2, 3)]
    assert (up.json["identities"], up.json["total"], up.json["accepted"]) == (identities, 3, 3)
    assert up.json["not_accepted"] == []

    (shown,) = (row for row in run("locations", "list", "--json").json if row["name"] == name)
    assert shown["chargers"]["ocpp_state"]["accepted"] == 3
    again = run("fleet", "wait", name)
    assert (again.status, "3 of 3 accepted" in again.out) == (0, True)

    assert run("fleet", "down", name, "--yes").status == 0
    assert run("chargers", "list", "--search", name, "--quiet").out == ""
    assert run("fleet", "wait", name).status == 1


def test_a_fleet_and_a_charger_run_where_the_option_says(run: Run, name: str) -> None:
    up = run("fleet", "up", "--name", name, "--count", "2", "--placement", "shared", "--no-wait")
    one = run("chargers", "create", f"{name}-1", "--location", name, "--placement", "shared", "--no-wait")
    assert (up.status, one.status) == (0, 0), up.err + one.err

    def listed(*given: str) -> int:
        return len(run("chargers", "list", "--location", name, *given, "--json").json)

    wait_until(lambda: listed("--placement", "shared") == 3)
    assert listed("--placement", "dedicated") == 0
    assert listed("--placement", "shared", "--host", "host-of-nobody") == 0
    assert "shared" in run("chargers", "get", f"{name}-1").out


def test_chargers_that_are_not_accepted_are_printed_with_the_reason(run: Run, name: str) -> None:
    taken = run("chargers", "create", f"{name}-2", "--no-wait", "-q")
    assert taken.status == 0
    nobody = ("--name", name, "--count", "2", "--prefix", f"{name}-", "--ws-url", NOBODY)

    failed = run("fleet", "up", *nobody, "--timeout", "60")

    assert failed.status == 1, failed.err  # one of two has failed, so both cannot be accepted
    assert f"{name}-2" in failed.out
    assert f"{name}-2" not in failed.err
    assert "This deletes it: chargehand fleet down " in failed.err
    assert "0 of 2 accepted, 1 stopped or failed" in failed.err
    again = run("fleet", "wait", name, "--json")
    assert (again.status, again.json["total"], again.json["impossible"]) == (1, 2, 1)
    late = run("fleet", "wait", name, "--accepted-share", "0.5", "--timeout", "8", "--json")
    assert late.status == 3, late.err
    other, twin = late.json["not_accepted"]
    assert (other["identity"], other["state"]) == (f"{name}-1", "disconnected")
    assert (twin["identity"], twin["state"]) == (f"{name}-2", "failed")
    assert [job["id"] for job in run("jobs", "list", "--location", name, "--json").json] == [
        late.json["job_id"]
    ]
    assert "nothing listens on 127.0.0.1:9" in other["reason"]
    assert run("fleet", "wait", name, "--accepted-share", "0").status == 0


@pytest.mark.parametrize("down", [False, True], ids=["stays", "goes"])
def test_ctrl_c_during_the_wait_leaves_the_fleet_or_deletes_it(
    run: Run, name: str, chargehand: RunningStack, down: bool
) -> None:
    option = ["--down-on-interrupt"] if down else []
    process = subprocess.Popen(
        [*COMMAND, "fleet", "up", "--name", name, "--count", "1", "--ws-url", NOBODY, *option],
        env=environment_of(chargehand),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "0 of 1 accepted" in process.stderr.readline()

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)

    assert process.returncode == 130
    if down:
        assert "is deleted" in said
        assert run("locations", "get", name).status == 1
    else:
        assert "This deletes it: chargehand fleet down " in said
        assert run("locations", "get", name).status == 0


def test_a_fleet_whose_answers_are_lost_is_created_once(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    with served(Unlucky, chargehand.url) as url:
        up = run(
            *("fleet", "up", "--name", name, "--count", "2", "--prefix", f"{name}-", "--json"),
            CHARGEHAND_URL=url,
        )

    assert (up.status, up.json["accepted"]) == (0, 2), up.err
    named = [row for row in run("locations", "list", "--json").json if row["name"] == name]
    assert [row["chargers"]["total"] for row in named] == [2]


def test_a_fleet_whose_chargers_cannot_be_requested_leaves_no_location(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    with served(WithoutChargers, chargehand.url) as url:
        up = run("fleet", "up", "--name", name, "--timeout", "2", CHARGEHAND_URL=url)

    assert up.status == 1
    assert run("locations", "get", name).status == 1


@pytest.mark.parametrize(
    ("count", "template"), [(0, None), (-1, None), (10_001, None), (0, "urban-ac-hub"), (-1, "urban-ac-hub")]
)
def test_a_number_of_chargers_that_no_fleet_has_is_refused(
    chargehand: RunningStack, name: str, count: int, template: str | None
) -> None:
    plan = Plan(name=name, count=count, template=template, ws_url=NOBODY)

    with pytest.raises(Failure, match=f"1 to 10000 chargers, not {count}"):
        create_fleet(chargehand.client, plan)


def test_a_wait_for_a_location_without_chargers_says_so(run: Run, name: str) -> None:
    place = ("--address", "Weg 1", "--city", "Hamburg", "--country", "DE", "--coordinates", "53.6,10")
    assert run("locations", "create", name, *place).status == 0

    waited = run("fleet", "wait", name)

    assert waited.status == 1
    assert "Error: it has no chargers" in waited.err


def test_what_the_api_refuses_leaves_no_location(run: Run, name: str) -> None:
    refused = run("fleet", "up", "--name", name, "--count", "2", "--ws-url", "http://no-websocket")

    assert refused.status == 1
    assert "ws_url" in refused.err
    assert run("locations", "get", name).status == 1


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [([4, 2], None, [4, 2]), ([4, 2], 50, [33, 17]), ([1, 1, 1], 2, [1, 1, 0]), ([4], 1000, [1000])],
)
def test_a_template_keeps_its_proportions(counts: list[int], total: int | None, expected: list[int]) -> None:
    assert spread(counts, total) == expected


@pytest.mark.parametrize(
    ("standing", "share", "has", "can_have"),
    [
        (Standing(total=100, accepted=95, impossible=5), 0.95, True, True),
        (Standing(total=100, accepted=94, impossible=5), 0.95, False, True),
        (Standing(total=100, accepted=94, impossible=6), 0.95, False, False),
        (Standing(total=3, accepted=2, impossible=0), 0.7, False, True),
        (Standing(total=0, accepted=0, impossible=0), 0, False, False),
    ],
)
def test_a_share_is_reached_or_can_be_or_cannot(
    standing: Standing, share: float, has: bool, can_have: bool
) -> None:
    assert (standing.has(share), standing.can_have(share)) == (has, can_have)
