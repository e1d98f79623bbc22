"""Fixtures for tests of a CSMS: a running stack, and chargers that the CSMS has accepted.

When pytest starts, it imports only this module of Chargehand.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

if TYPE_CHECKING:
    from chargehand.client.charger import Charger
    from chargehand.client.fleet import Fleet
    from chargehand.client.http import Client
    from chargehand.client.stack import Stack
    from chargehand.client.waiting import Task

STATE_OPTION = "--chargehand-state"
STATE_INI = "chargehand_state"
FOLDER_MODE = 0o711  # root's PostgreSQL runs as another user, who has to enter it
WITHIN_S = 60.0
FLEET_WITHIN_S = 120.0
FLEET_TTL_S = 3600  # so that a fleet goes away even if the test run is killed


@dataclass(frozen=True)
class RunningStack:
    """A running stack, which answers."""

    url: str  #: of the API
    token: str = field(repr=False)
    csms_url: str | None  #: of the stack's CSMS, which accepts every charger
    folder: Path | None  #: its state folder, with stack.json and logs/; None for a stack of CHARGEHAND_URL
    client: "Client" = field(repr=False)  #: for the API's other routes: `client.get("/ocpp/chargers")`


class Fleets(Protocol):
    """The fixture `fleet`."""

    def __call__(
        self,
        count: int | None = None,
        *,
        template: str | None = None,
        name: str | None = None,
        prefix: str | None = None,
        ocpp_version: str | None = None,
        ws_url: str | None = None,
        brand: str | None = None,
        model: str | None = None,
        connector: str | None = None,
        labels: Mapping[str, str] | None = None,
        rate: float | None = None,
        placement: Literal["dedicated", "shared"] | None = None,
        accepted_share: float = 1.0,
        within_s: float = FLEET_WITHIN_S,
        ttl_s: int = FLEET_TTL_S,
    ) -> "Fleet":
        """Create a location with chargers, and return it when the CSMS at ws_url has accepted accepted_share of them.

        With a template of `chargehand templates` the chargers are those of that site, `count` in all if it is given. The
        identities are numbered after the prefix. After within_s seconds the test fails, with the state and the reason of
        the chargers that are not accepted. The fleet is deleted after the test, and by itself after ttl_s seconds.
        """


class Chargers(Protocol):
    """The fixture `chargers`."""

    def __call__(
        self,
        count: int = 1,
        *,
        ocpp_version: str = "OCPP1.6",
        ws_url: str | None = None,
        brand: str | None = None,
        model: str | None = None,
        connector: str | None = None,
        identity: str | None = None,
        until: Literal["accepted", "final"] = "accepted",
        within_s: float = WITHIN_S,
    ) -> "list[Charger]":
        """Create chargers, and return them when the CSMS at ws_url has accepted all of them.

        The default ws_url is that of the stack's CSMS. With an identity and a count above 1 they are numbered, as
        in CP-1. until="final" does not wait for the CSMS. After within_s seconds the test fails, with the state
        and the reason of each charger.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    described = "Folder of the stack of the fixture chargehand, which starts a stack there if none runs."
    group = parser.getgroup("chargehand", "simulated EV chargers")
    group.addoption(STATE_OPTION, metavar="DIR", help=described)
    parser.addini(STATE_INI, described, default="")


@pytest.fixture(scope="session")
def chargehand(pytestconfig: pytest.Config) -> Iterator[RunningStack]:
    """The stack of --chargehand-state, else of CHARGEHAND_URL, else a stack that runs for this session."""
    from chargehand.client.failures import Failure
    from chargehand.client.http import Client

    with ExitStack() as until_the_end:
        try:
            stack, folder = _find_or_start(pytestconfig, until_the_end)
        except Failure as failure:
            pytest.fail(str(failure), pytrace=False)
        client = until_the_end.enter_context(Client(stack))
        yield RunningStack(stack.url, stack.token, stack.csms_url, folder, client)


def _find_or_start(config: pytest.Config, until_the_end: ExitStack) -> "tuple[Stack, Path | None]":
    import os
    import shutil

    from chargehand.client.stack import find_stack, read_description, stack_of
    from chargehand.client.starting import started_stack

    option, ini = config.getoption(STATE_OPTION), config.getini(STATE_INI)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if option or ini:
        folder = config.invocation_params.dir / option if option else config.rootpath / ini
        description = read_description(folder)
        if description is not None:
            return stack_of(description), folder
        if worker:
            # A stack per worker, so that no worker ends another's.
            folder = folder.with_name(f"{folder.name}-{worker}")
    elif os.environ.get("CHARGEHAND_URL"):
        return find_stack(), None
    else:
        temporary = Path(mkdtemp(prefix="chargehand-"))
        until_the_end.callback(shutil.rmtree, temporary, ignore_errors=True)
        temporary.chmod(FOLDER_MODE)
        folder = temporary / "state"
    return until_the_end.enter_context(started_stack(folder)), folder


@pytest.fixture
def chargers(chargehand: RunningStack) -> Iterator[Chargers]:
    """A function that creates chargers. They are deleted after the test."""
    from chargehand.client.failures import Failure

    client = chargehand.client
    created: list[Task] = []

    def create(
        count: int = 1,
        *,
        ocpp_version: str = "OCPP1.6",
        ws_url: str | None = None,
        brand: str | None = None,
        model: str | None = None,
        connector: str | None = None,
        identity: str | None = None,
        until: Literal["accepted", "final"] = "accepted",
        within_s: float = WITHIN_S,
    ) -> "list[Charger]":
        from chargehand.client.charger import Charger
        from chargehand.client.creating import creations, numbered, version_of
        from chargehand.client.waiting import Until, raise_for_failures, wait_all

        try:
            tasks = creations(
                client,
                numbered(identity, count) if identity and count > 1 else [identity or ""] * count,
                until=Until(until),
                ws_url=ws_url,
                brand_slug=brand,
                model_slug=model,
                connector_type=connector,
                ocpp_version=version_of(ocpp_version),
            )
            created.extend(tasks)
            wait_all(client, tasks, within_s)
            raise_for_failures(tasks)
        except Failure as failure:
            pytest.fail(str(failure), pytrace=False)
        return [Charger(client, task.charger_id, task.label) for task in tasks]

    yield create
    _delete(client, created)


@pytest.fixture
def fleet(chargehand: RunningStack) -> Iterator[Fleets]:
    """A function that creates fleets: locations with chargers. They are deleted after the test."""
    from chargehand.client.failures import Failure

    client = chargehand.client
    created: list[Fleet] = []

    def create(
        count: int | None = None,
        *,
        template: str | None = None,
        name: str | None = None,
        prefix: str | None = None,
        ocpp_version: str | None = None,
        ws_url: str | None = None,
        brand: str | None = None,
        model: str | None = None,
        connector: str | None = None,
        labels: Mapping[str, str] | None = None,
        rate: float | None = None,
        placement: Literal["dedicated", "shared"] | None = None,
        accepted_share: float = 1.0,
        within_s: float = FLEET_WITHIN_S,
        ttl_s: int = FLEET_TTL_S,
    ) -> "Fleet":
        from chargehand.client.fleet import Fleet
        from chargehand.client.fleet_plan import Plan, create_fleet

        if not 0 <= accepted_share <= 1:
            pytest.fail(f"accepted_share is from 0 to 1, not {accepted_share:g}", pytrace=False)
        plan = Plan(
            name=name,
            count=count,
            template=template,
            prefix=prefix,
            ws_url=ws_url,
            brand_slug=brand,
            model_slug=model,
            connector_type=connector,
            ocpp_version=ocpp_version,
            labels=labels or {},
            ttl_s=ttl_s,
            rate=rate,
            placement=placement,
        )
        try:
            made = Fleet(client, create_fleet(client, plan))
            created.append(made)
            made.wait_until_accepted(share=accepted_share, within_s=within_s)
        except Failure as failure:
            pytest.fail(str(failure), pytrace=False)
        return made

    yield create
    left = []
    for made in created:
        try:
            made.delete()
        except Failure as failure:
            left.append(f"{made.name} ({made.id}): {failure}")
    if left:
        pytest.fail("fleets were not deleted:\n" + "\n".join(left), pytrace=False)


def _delete(client: "Client", created: "list[Task]") -> None:
    """Delete all chargers, including those whose creation was interrupted. A charger may already be gone."""
    from chargehand.client.failures import Failure
    from chargehand.client.waiting import delete_created

    try:
        left = delete_created(client, created)
    except Failure as failure:
        left = [str(failure)]
    if left:
        pytest.fail("chargers were not deleted:\n" + "\n".join(left), pytrace=False)
