"""The fake and the embedded ECS keep the same promises: every test here runs against both."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from shared.auth.control_tokens import ControlTokens
from shared.settings import EcsSettings
from shared.startup.environment import load_settings
from simulator.settings import read_settings
from tests.support.embedded_ecs import Embedded, client_at
from tests.support.environment import environment
from tests.support.fake_ecs import FakeEcs
from worker.ecs.client import EcsClient, EcsUnavailable, ServiceView, TaskDefinitionMissing, TaskView


@dataclass(frozen=True)
class Side:
    """One of the two, and how time passes there."""

    ecs: EcsClient
    settle: Callable[[], None]
    crash: Callable[[str], None]
    handles_signals: Callable[[str], bool] = lambda _: True

    def define(self, charger_id: str, **environment: str) -> str:
        return self.ecs.ensure_task_definition(charger_id, {"CHARGER_IDENTITY": "CP-1", **environment}, {})

    def ensure(self, charger_id: str, definition: str, count: int = 1, *, exists: bool = True) -> ServiceView:
        return self.ecs.ensure_service(
            charger_id,
            desired_count=count,
            task_definition_arn=definition,
            generation=1,
            tags={"chargehand:charger": charger_id},
            exists=exists,
        )

    def view(self, charger_id: str) -> ServiceView | None:
        return self.ecs.describe_services([charger_id])[charger_id]

    def task(self, arn: str) -> TaskView | None:
        return self.ecs.describe_tasks([arn]).get(arn)

    def until(self, is_true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not is_true():
            assert time.monotonic() < deadline, "still not true"
            self.settle()

    def until_running(self, charger_id: str) -> str:
        """Returns the ARN of the charger's task."""

        def runs() -> bool:
            view = self.view(charger_id)
            return view is not None and view.deployed and view.running_count == 1

        self.until(runs)
        self.until(lambda: self.handles_signals(charger_id))
        arn = self.ecs.current_task(charger_id)
        assert arn is not None
        return arn

    def until_stopped(self, arn: str) -> TaskView:
        self.until(lambda: (task := self.task(arn)) is not None and task.stopped)
        task = self.task(arn)
        assert task is not None
        return task


@pytest.fixture(params=["fake", "embedded"])
def side(request: pytest.FixtureRequest) -> Side:
    if request.param == "fake":
        fake = FakeEcs()
        return Side(fake, fake.settle, fake.crash)
    embedded: Embedded = request.getfixturevalue("embedded")
    return Side(embedded.ecs, lambda: time.sleep(0.02), embedded.crash, embedded.handles_signals)


@pytest.fixture
def charger_id() -> str:
    return f"dep-{uuid4().hex[:12]}"


def test_a_task_definition_is_made_once_per_environment(side: Side, charger_id: str) -> None:
    first = side.define(charger_id, CHARGER_WS_URL="ws://a/")
    again = side.define(charger_id, CHARGER_WS_URL="ws://a/")
    changed = side.define(charger_id, CHARGER_WS_URL="ws://b/")

    assert first == again
    assert changed != first
    assert side.define(f"{charger_id}0") not in {first, changed}


def test_a_deleted_task_definition_is_not_used_again(side: Side, charger_id: str) -> None:
    first = side.define(charger_id)

    side.ecs.delete_task_definitions(side.ecs.task_definitions(charger_id))
    side.ecs.delete_task_definitions(side.ecs.task_definitions(charger_id))

    assert side.define(charger_id) != first


def test_a_service_comes_up_and_says_so(side: Side, charger_id: str) -> None:
    definition = side.define(charger_id)

    created = side.ensure(charger_id, definition, exists=False)
    arn = side.until_running(charger_id)

    assert (created.status, created.desired_count, created.running_count) == ("ACTIVE", 1, 0)
    assert (created.task_definition_arn, created.deployed) == (definition, False)
    view, task = side.view(charger_id), side.task(arn)
    assert view is not None
    assert (view.status, view.running_count, view.pending_count) == ("ACTIVE", 1, 0)
    assert (view.task_definition_arn, view.rollout_failure) == (definition, None)
    assert task is not None
    assert task.running


@pytest.mark.parametrize("remembered", [True, False])
def test_ensuring_a_service_again_changes_nothing(side: Side, charger_id: str, remembered: bool) -> None:
    """Whatever the row remembers, and however often a message comes."""
    definition = side.define(charger_id)
    side.ensure(charger_id, definition, exists=remembered)
    arn = side.until_running(charger_id)

    for exists in (True, False):
        side.ensure(charger_id, definition, exists=exists)

    side.settle()
    assert side.until_running(charger_id) == arn


def test_a_count_of_zero_ends_the_task(side: Side, charger_id: str) -> None:
    definition = side.define(charger_id)
    side.ensure(charger_id, definition)
    arn = side.until_running(charger_id)

    answered = side.ensure(charger_id, definition, 0)
    side.until_stopped(arn)

    assert answered.desired_count == 0
    view = side.view(charger_id)
    assert view is not None
    assert (view.desired_count, view.running_count, view.pending_count) == (0, 0, 0)
    assert side.ecs.current_task(charger_id) is None
    last = side.ecs.last_stopped_task(charger_id)
    assert last is not None
    assert last.arn == arn


def test_a_stopped_task_is_followed_by_another(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id))
    arn = side.until_running(charger_id)

    side.ecs.stop_task(arn, reason="restart, generation 2")
    side.ecs.stop_task(arn, reason="restart, generation 2")
    stopped = side.until_stopped(arn)
    side.ecs.stop_task(arn, reason="restart, generation 2")

    assert stopped.stopped_reason == "restart, generation 2"
    assert side.until_running(charger_id) != arn


def test_a_task_that_nobody_knows_is_stopped_already(side: Side) -> None:
    arn = f"arn:aws:ecs:us-east-1:123456789012:task/chargehand/{uuid4().hex}"

    side.ecs.stop_task(arn, reason="restart")

    assert side.ecs.describe_tasks([arn]) == {}


def test_a_crashed_task_has_its_exit_code(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id))
    arn = side.until_running(charger_id)

    side.crash(charger_id)
    stopped = side.until_stopped(arn)

    assert stopped.exit_code == 137
    assert stopped.stopped_reason == "Essential container in task exited"
    assert side.until_running(charger_id) != arn


def test_another_definition_replaces_the_task(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id))
    old = side.until_running(charger_id)
    definition = side.define(charger_id, CHARGER_WS_URL="ws://other/")

    answered = side.ensure(charger_id, definition)
    side.until_stopped(old)

    assert answered.deployed is False
    assert side.until_running(charger_id) != old


def test_a_definition_that_is_gone_differs_from_other_refusals(side: Side, charger_id: str) -> None:
    definition = side.define(charger_id)
    side.ensure(charger_id, definition)
    nowhere = definition.rsplit(":", 1)[0] + ":99"

    with pytest.raises(TaskDefinitionMissing):
        side.ensure(charger_id, nowhere)
    with pytest.raises(TaskDefinitionMissing):
        side.ensure(f"{charger_id}0", nowhere, exists=False)


def test_many_services_are_described_and_the_missing_are_none(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id))
    names = [f"{charger_id}-{number}" for number in range(11)]

    views = side.ecs.describe_services([*names, charger_id])

    assert [views[name] for name in names] == [None] * 11
    view = views[charger_id]
    assert view is not None
    assert view.active


def test_a_service_is_gone_when_its_last_task_is(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id, CHARGER_TASK_STOPS_IN_S="0.3"))
    arn = side.until_running(charger_id)

    draining = side.ecs.delete_service(charger_id)
    during = side.task(arn)
    side.until(lambda: side.ecs.delete_service(charger_id) is None)

    assert draining is not None
    assert (draining.status, draining.active) == ("DRAINING", False)
    assert during is not None
    assert not during.stopped
    gone = side.task(arn)
    assert gone is None or gone.stopped
    assert side.view(charger_id) is None
    assert side.ecs.delete_service(charger_id) is None


def test_what_is_left_of_a_draining_service_is_described_and_not_deleted_again(
    embedded: Embedded, charger_id: str
) -> None:
    side = Side(embedded.ecs, lambda: time.sleep(0.02), embedded.crash, embedded.handles_signals)
    side.ensure(charger_id, side.define(charger_id, CHARGER_TASK_STOPS_IN_S="0.3"))
    side.until_running(charger_id)
    embedded.process.clear_calls()

    draining = side.ecs.delete_service(charger_id)
    side.until(lambda: side.ecs.remaining_service(charger_id) is None)

    assert draining is not None
    assert len(embedded.process.calls("DeleteService")) == 1


def test_what_is_left_of_an_active_service_is_asked_to_go(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id))
    side.until_running(charger_id)

    side.until(lambda: side.ecs.remaining_service(charger_id) is None)

    assert side.view(charger_id) is None


def test_a_service_without_tasks_is_deleted_in_a_call_or_two(side: Side, charger_id: str) -> None:
    side.ensure(charger_id, side.define(charger_id), 0)

    side.until(lambda: side.ecs.delete_service(charger_id) is None)

    assert side.view(charger_id) is None


def test_a_service_that_never_was_is_gone(side: Side, charger_id: str) -> None:
    assert side.ecs.delete_service(charger_id) is None
    assert side.ecs.current_task(charger_id) is None
    assert side.ecs.last_stopped_task(charger_id) is None


def test_a_name_is_free_again_when_its_service_has_drained(side: Side, charger_id: str) -> None:
    definition = side.define(charger_id, CHARGER_TASK_STOPS_IN_S="0.3")
    side.ensure(charger_id, definition)
    side.until_running(charger_id)
    side.ecs.delete_service(charger_id)

    with pytest.raises(EcsUnavailable):
        side.ensure(charger_id, definition)
    side.until(lambda: side.view(charger_id) is None)
    side.ensure(charger_id, definition)

    side.until_running(charger_id)


def test_a_charger_is_given_the_operators_rule_of_where_it_may_connect_to(
    embedded: Embedded, ecs_settings: EcsSettings, charger_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the API, and from the same settings: it checks each address when it connects."""
    monkeypatch.setenv("WS_URL_DENY", "private")
    monkeypatch.setenv("WS_URL_ALLOW", "10.1.0.0/16,csms.test")
    for name, value in environment("postgresql://localhost/unused", "redis://localhost").items():
        monkeypatch.setenv(name, value)
    loaded = load_settings()
    rule = loaded.ecs.charger_environment
    ecs = client_at(embedded.process.endpoint_url, replace(ecs_settings, charger_environment=rule))

    arn = ecs.ensure_task_definition(
        charger_id, {"CHARGER_IDENTITY": "CP-1", "CHARGER_WS_URL": "ws://a/"}, {}
    )

    given = environment_of(ecs, arn)
    assert asdict(read_settings(given).destinations) == asdict(loaded.destinations)
    assert loaded.destinations.restricted
    assert (
        ecs.ensure_task_definition(charger_id, {"CHARGER_IDENTITY": "CP-1", "CHARGER_WS_URL": "ws://a/"}, {})
        == arn
    )


def test_a_charger_is_given_the_way_to_the_control_link_and_a_token_of_its_own(
    embedded: Embedded, ecs_settings: EcsSettings, charger_id: str
) -> None:
    def client(**changes: Any) -> EcsClient:
        control = replace(ecs_settings.control, url="wss://link.test/control", secrets=("s" * 32,))
        return client_at(
            embedded.process.endpoint_url, replace(ecs_settings, control=replace(control, **changes))
        )

    without, ecs = client(url=""), client()

    given = environment_of(ecs, ecs.ensure_task_definition(charger_id, {"CHARGER_IDENTITY": "CP-1"}, {}))

    token = given.pop("CHARGER_CONTROL_TOKEN")
    assert ControlTokens(["s" * 32]).verify(token).process_id == charger_id
    assert given == {
        "CHARGER_IDENTITY": "CP-1",
        "CHARGER_ID": charger_id,
        "CHARGER_CONTROL_URL": "wss://link.test/control",
    }
    changed = [
        without,
        client(url="wss://other.test/control"),
        client(secrets=("t" * 32, "s" * 32)),
        client(ca_file="/ca"),
    ]
    assert ecs.spec_of({}) not in {other.spec_of({}) for other in changed}, "a rollout brings them"
    assert ecs.spec_of({}) == client(secrets=("s" * 32, "t" * 32)).spec_of({}), "another key to verify with"


def environment_of(ecs: EcsClient, arn: str) -> dict[str, str]:
    described: Any = ecs._ecs.describe_task_definition(taskDefinition=arn)
    [container] = described["taskDefinition"]["containerDefinitions"]
    return {pair["name"]: pair["value"] for pair in container["environment"]}


def test_a_tag_holds_what_amazon_allows(embedded: Embedded, charger_id: str) -> None:
    """The embedded ECS is kinder here: CreateService would refuse these characters."""
    ecs = embedded.ecs
    arn = ecs.ensure_task_definition(charger_id, {"CHARGER_IDENTITY": "CP*1|a"}, {"identity": "CP*1|a#ü"})

    tags: Any = ecs._ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])["tags"]

    assert {"key": "identity", "value": "CP_1_a_ü"} in tags
