"""The SDK's 18 commands drive a charger, and its CSMS sees what they do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from ocpplab import (
    AuthorizeIdTagCommandEvent,
    ChargerCommandTarget,
    ClearFaultEvent,
    CommandTarget,
    ConfigurationUpdateEvent,
    ConnectorCommandEvent,
    EmptyEvent,
    InjectFaultEvent,
    LocalAuthListEntry,
    LocalAuthListEvent,
    PowerUpdateCommandEvent,
    ProxyMessageEvent,
    StartSessionCommandEvent,
    StartTransactionCommandEvent,
    StopSessionCommandEvent,
    StopTransactionCommandEvent,
)
from ocpplab.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from tests.contract.conftest import Api
from tests.contract.sdk import Sdk
from tests.support.fleet import NEW_LOCATION
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

V16, V201 = "OCPP1.6", "OCPP2.0.1"

#: What the charger answers to a command of group A, by its method.
RESULTS: dict[str, Callable[[Any], object]] = {
    "proxy_message": lambda answer: answer.event_type == "data_transfer",
    "set_configuration": lambda answer: len(answer.configured) == 4,
    "reset_auth_cache": lambda answer: answer.cleared_entries == 1,
    "send_local_list": lambda answer: (answer.list_version, answer.entries_received) == (7, 1),
    "clear_local_list": lambda answer: answer.entries_deleted == 1,
    "inject_fault": lambda answer: answer.fault_type == "OverCurrent",
    "clear_fault": lambda answer: answer.msg,
}


@dataclass
class Scene:
    """A charger that its CSMS accepted and that the control link reaches."""

    sdk: Sdk
    api: Api
    csms: RememberingCsms
    identity: str
    charger_id: str
    version: str

    def command(self, method: str, event: Any) -> Any:
        one_charger = method in RESULTS
        target = (ChargerCommandTarget if one_charger else CommandTarget)(charger_id=self.charger_id)
        return self.sdk(method, resource="commands", target=target, event=event)

    def read(self, name: str) -> str:
        """The value of a configuration key, or of a variable, as the CSMS gets it."""
        if self.version == V16:
            answer = self.csms.call(self.identity, "GetConfiguration", {"key": [name]})
            return str(answer["configurationKey"][0]["value"])
        component, variable = name.split(".")
        wanted = {"component": {"name": component}, "variable": {"name": variable}}
        answer = self.csms.call(self.identity, "GetVariables", {"getVariableData": [wanted]})
        return str(answer["getVariableResult"][0]["attributeValue"])

    def list_version(self) -> int:
        answer = self.csms.call(self.identity, "GetLocalListVersion", {})
        return int(answer["listVersion" if self.version == V16 else "versionNumber"])


@pytest.fixture(params=[V16, V201])
def scene(request: pytest.FixtureRequest, sdk: Sdk, api: Api, csms: RememberingCsms) -> Iterator[Scene]:
    identity = f"CP-{uuid4().hex[:8]}"
    created = sdk(
        "create",
        identity=identity,
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        connector_type="Type2",
        ws_url=csms.url,
        ocpp_version=request.param,
    )
    scene = Scene(sdk, api, csms, identity, created.charger_id, request.param)
    csms.wait_for_boot(identity, within_s=20)
    wait_until(lambda: sdk("get_status", charger_id=created.charger_id).status == "READY", 20)
    yield scene
    api(f"/ocpp/chargers/{created.charger_id}", "DELETE")


def test_the_csms_sees_what_each_command_does(scene: Scene) -> None:
    assert len({step.method for step in STEPS}) == 18

    for step in STEPS:
        after = len(scene.csms.calls_of(scene.identity))
        event = step.event(scene.version) if callable(step.event) else step.event

        answer = scene.command(step.method, event)

        if step.method in RESULTS:
            assert RESULTS[step.method](answer), (step.method, answer)
        else:
            [result] = answer.results
            action = scene.api(f"/ocpp/commands/{result.command.id}", params={"wait": 10})
            assert action["status"] == "applied", action
        seen = step.v16 if scene.version == V16 else step.v201
        if isinstance(seen, tuple):
            scene.csms.wait_for_call(scene.identity, *seen, after=after)
        else:
            assert seen(scene), step.method


@pytest.mark.parametrize("scene", [V16], indirect=True)
def test_what_a_charger_refuses_is_a_typed_error_of_the_sdk(scene: Scene) -> None:
    scene.command("send_local_list", LOCAL_LIST)
    with pytest.raises(BadRequestError):  # the version has to grow
        scene.command("send_local_list", LOCAL_LIST)

    with pytest.raises(UnprocessableEntityError) as refused:
        scene.command("inject_fault", InjectFaultEvent(fault_type="OverCurrent", connector_id=9))
    assert "there is no connector 9" in str(refused.value.body)

    with pytest.raises(NotFoundError):
        Scene(scene.sdk, scene.api, scene.csms, "", "dep-none", V16).command("plug_connector", PLACE)

    scene.api(f"/ocpp/chargers/{scene.charger_id}/stop-charger?wait=30", "POST")
    with pytest.raises(UnprocessableEntityError) as refused:
        scene.command("reset_auth_cache", EmptyEvent())
    assert "charger_stopped" in str(refused.value.body)
    answer = scene.command("plug_connector", PLACE)
    assert (answer.targeted_count, answer.queued_count, answer.failed_count) == (1, 0, 1)
    assert "stopped" in answer.failed[0].error


@pytest.mark.parametrize("scene", [V16], indirect=True)
def test_one_command_drives_the_chargers_of_a_location(scene: Scene) -> None:
    site = scene.api("/ocpp/locations", "POST", json=NEW_LOCATION)["id"]
    scene.api(f"/ocpp/chargers/{scene.charger_id}", "PUT", json={"location_id": site})
    target = CommandTarget(location_id=site, charger_ids=[scene.charger_id, "dep-elsewhere"])

    answer = scene.sdk("plug_connector", resource="commands", target=target, event=PLACE)

    assert (answer.targeted_count, answer.queued_count, answer.failed_count) == (2, 1, 1)
    assert answer.results[0].identity == scene.identity
    scene.csms.wait_for_call(scene.identity, *status("Preparing"))


Payload = dict[str, Any]
Request = tuple[str, Callable[[Payload], object]]  #: an action, and what its payload must be
Seen = Request | Callable[[Scene], object]


@dataclass(frozen=True)
class Step:
    """A command, and what the CSMS of each version sees of it."""

    method: str
    event: Any
    v16: Seen
    v201: Seen


def status(status: str) -> Request:
    return (
        "StatusNotification",
        lambda payload: (
            status
            in (
                payload.get("status"),
                payload.get("connectorStatus"),
            )
        ),
    )


def stopped(reason: str) -> Request:
    return "StopTransaction", lambda payload: payload.get("reason", "Local") == reason


def ended(reason: str) -> Request:
    return (
        "TransactionEvent",
        lambda payload: (
            payload["eventType"] == "Ended"
            and payload["transactionInfo"].get("stoppedReason", "Local") == reason
        ),
    )


def charging_state(state: str) -> Request:
    return "TransactionEvent", lambda payload: payload["transactionInfo"].get("chargingState") == state


def authorize(token: str) -> Request:
    return (
        "Authorize",
        lambda payload: token in (payload.get("idTag"), payload.get("idToken", {}).get("idToken")),
    )


def power(watts: float) -> Callable[[Payload], bool]:
    def has_it(payload: Payload) -> bool:
        return any(
            float(sampled["value"]) == watts
            for reading in payload.get("meterValue", ())
            for sampled in reading["sampledValue"]
        )

    return has_it


def configuration(version: str) -> ConfigurationUpdateEvent:
    return ConfigurationUpdateEvent(configuration=CONFIGURATION[version])


def is_set(scene: Scene) -> bool:
    """Whether the CSMS reads what was set."""
    wanted = CONFIGURATION[scene.version]
    return {name: scene.read(name) for name in wanted} == wanted


def proxied(version: str) -> ProxyMessageEvent:
    payload = {"vendor_id": "acme", "data": "hello"}
    return ProxyMessageEvent(action="data_transfer", ocpp_version=version.lower(), payload=payload)


#: Read the power every second, keep the cable of a car that leaves, and send no Authorize for a token of the cache.
CONFIGURATION = {
    V16: {
        "MeterValueSampleInterval": "1",
        "MeterValuesSampledData": "Power.Active.Import",
        "UnlockConnectorOnEVSideDisconnect": "false",
        "LocalPreAuthorize": "true",
    },
    V201: {
        "SampledDataCtrlr.TxUpdatedInterval": "1",
        "SampledDataCtrlr.TxUpdatedMeasurands": "Power.Active.Import",
        "OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false",
        "AuthCtrlr.LocalPreAuthorize": "true",
    },
}
PLACE = ConnectorCommandEvent(connector_id=1)
RAW_START = StartTransactionCommandEvent(id_tag="CARD-2", connector_id=1)
STARTED: tuple[Request, Request] = (
    ("StartTransaction", lambda payload: payload["idTag"] == "CARD-2"),
    ("TransactionEvent", lambda payload: payload["eventType"] == "Started"),
)
LOCAL_LIST = LocalAuthListEvent(list_version=7, entries=[LocalAuthListEntry(id_tag="LOCAL-1")])

STEPS = (
    Step("set_configuration", configuration, is_set, is_set),
    Step("send_local_list", LOCAL_LIST, *(lambda scene: scene.list_version() == 7,) * 2),
    Step("clear_local_list", EmptyEvent(), *(lambda scene: scene.list_version() == 0,) * 2),
    Step("proxy_message", proxied, *(("DataTransfer", lambda payload: payload["data"] == "hello"),) * 2),
    Step("inject_fault", InjectFaultEvent(fault_type="OverCurrent"), *(status("Faulted"),) * 2),
    Step("clear_fault", ClearFaultEvent(connector_id=1), *(status("Available"),) * 2),
    Step("authorize_id_tag", AuthorizeIdTagCommandEvent(id_tag="CARD-1"), *(authorize("CARD-1"),) * 2),
    Step("reset_auth_cache", EmptyEvent(), *(lambda _: True,) * 2),  # so the next one sends Authorize again
    Step("start_session", StartSessionCommandEvent(id_tag="CARD-1"), *(authorize("CARD-1"),) * 2),
    Step(
        "power_update",
        PowerUpdateCommandEvent(power_w=3000, connector_id=1),
        ("MeterValues", power(3000)),
        ("TransactionEvent", power(3000)),
    ),
    Step("ev_stops_energy", PLACE, status("SuspendedEV"), charging_state("SuspendedEV")),
    Step("ev_requests_energy", PLACE, status("Charging"), charging_state("Charging")),
    Step("unplug_connector", PLACE, stopped("EVDisconnected"), ended("EVDisconnected")),
    Step("unlock_connector", PLACE, *(status("Available"),) * 2),
    Step("plug_connector", PLACE, status("Preparing"), status("Occupied")),
    Step("start_transaction", RAW_START, *STARTED),
    Step("stop_transaction", StopTransactionCommandEvent(), stopped("Local"), ended("Local")),
    Step("start_transaction", RAW_START, *STARTED),
    Step("stop_session", StopSessionCommandEvent(connector_id=1), stopped("Local"), ended("Local")),
)
