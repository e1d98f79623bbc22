"""A link on the tests' database, and scripted processes that connect to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from link.process import Link
from shared.auth.control_tokens import ControlTokens
from shared.database.engine import Sessions
from shared.settings import Settings
from tests.support.control_link import CONTROL_SECRET, ControlRows, ScriptedProcess, running_link
from tests.support.link_faults import FaultRig, fault_rig

Connect = Callable[..., ScriptedProcess]


@pytest.fixture
def rows(sessions: Sessions) -> ControlRows:
    return ControlRows(sessions)


@pytest.fixture
def link(settings: Settings, rows: ControlRows) -> Iterator[Link]:
    with running_link(settings) as link:
        yield link


@pytest.fixture
def tokens() -> ControlTokens:
    return ControlTokens([CONTROL_SECRET])


@pytest.fixture
def connect(link: Link, tokens: ControlTokens) -> Iterator[Connect]:
    """Connects processes: `connect(charger_id)`, `connect(charger_id, url=...)`. Without a hello."""
    with ExitStack() as open_processes:

        def connect(charger_id: str, *, url: str = link.url, **options: Any) -> ScriptedProcess:
            token = options.pop("token", None) or tokens.first_token(charger_id)
            return open_processes.enter_context(ScriptedProcess(url, charger_id, token, **options))

        yield connect


@pytest.fixture(scope="module")
def rig(
    new_database: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultRig]:
    with fault_rig(new_database(), redis_url, tmp_path_factory.mktemp("links")) as rig:
        yield rig
