"""OCPP 2.0.1: the device model."""

import pytest

from tests.simulator.talk import Talk
from tests.support.csms import Payload


def variable(component: str, name: str, instance: str | None = None, evse_id: int | None = None) -> Payload:
    place: Payload = {"component": {"name": component}, "variable": {"name": name}}
    if instance:
        place["variable"]["instance"] = instance
    if evse_id:
        place["component"]["evse"] = {"id": evse_id}
    return place


@pytest.mark.parametrize(
    ("place", "status", "value"),
    [
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "Accepted", "300"),
        (variable("ocppcommctrlr", "heartbeatinterval"), "Accepted", "300"),
        (variable("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"), "Accepted", "3"),
        (variable("EVSE", "AvailabilityState", evse_id=2), "Accepted", "Available"),
        (variable("ChargingStation", "Model"), "Accepted", "Simulator"),
        (variable("LocalAuthListCtrlr", "Entries"), "Accepted", "0"),
        (variable("SecurityCtrlr", "BasicAuthPassword"), "Rejected", None),
        (variable("OCPPCommCtrlr", "MessageAttempts"), "UnknownVariable", None),
        (variable("EVSE", "AvailabilityState", evse_id=9), "UnknownComponent", None),
        (variable("Toaster", "Slots"), "UnknownComponent", None),
        (
            variable("TxCtrlr", "TxStartPoint") | {"attribute_type": "Target"},
            "NotSupportedAttributeType",
            None,
        ),
    ],
)
async def test_a_variable_is_read(talk: Talk, place: Payload, status: str, value: str | None) -> None:
    (result,) = (await talk.call("GetVariables", get_variable_data=[place])).get_variable_result

    assert result["attribute_status"] == status
    assert result.get("attribute_value") == value


@pytest.mark.parametrize(
    ("place", "value", "status"),
    [
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "1", "Accepted"),
        (variable("TxCtrlr", "TxStartPoint"), "EVConnected,Authorized", "Accepted"),
        (variable("TxCtrlr", "TxStartPoint"), "Whenever", "Rejected"),
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "soon", "Rejected"),
        (variable("SecurityCtrlr", "SecurityProfile"), "3", "Rejected"),
        (variable("ChargingStation", "Model"), "Other", "Rejected"),
        (variable("TxCtrlr", "Nonsense"), "1", "UnknownVariable"),
        (variable("Toaster", "Slots"), "1", "UnknownComponent"),
        (
            variable("TxCtrlr", "TxStartPoint") | {"attribute_type": "MaxSet"},
            "x",
            "NotSupportedAttributeType",
        ),
    ],
)
async def test_a_variable_is_set(talk: Talk, place: Payload, value: str, status: str) -> None:
    data = [place | {"attribute_value": value}]
    (result,) = (await talk.call("SetVariables", set_variable_data=data)).set_variable_result

    assert result["attribute_status"] == status
    if status == "Accepted":
        (read,) = (await talk.call("GetVariables", get_variable_data=[place])).get_variable_result
        assert read["attribute_value"] == value
        if value == "1":
            await talk.link.next("Heartbeat")


async def test_a_password_that_is_set_is_not_printed(talk: Talk) -> None:
    place = variable("SecurityCtrlr", "BasicAuthPassword") | {"attribute_value": "N3W-S3CRET"}

    await talk.call("SetVariables", set_variable_data=[place])
    await talk.link.socket.close()
    await talk.csms.link(2)

    assert "N3W-S3CRET" not in str(talk.charger.events)
    assert "Authorization" in talk.csms.requests[1].headers


@pytest.mark.parametrize(
    ("base", "has", "has_not"),
    [
        ("FullInventory", {"TxStartPoint", "AvailabilityState", "Model"}, set[str]()),
        ("ConfigurationInventory", {"TxStartPoint", "HeartbeatInterval"}, {"Model"}),
        ("SummaryInventory", {"AvailabilityState", "Problem"}, {"TxStartPoint", "Model"}),
    ],
)
async def test_a_report_comes_in_numbered_pages(
    talk: Talk, base: str, has: set[str], has_not: set[str]
) -> None:
    assert (await talk.call("GetBaseReport", request_id=5, report_base=base)).status == "Accepted"

    await talk.link.next("NotifyReport", lambda payload: not payload["tbc"])
    pages = talk.link.all("NotifyReport")
    assert [page["seq_no"] for page in pages] == list(range(len(pages)))
    assert {page["request_id"] for page in pages} == {5}
    names = {entry["variable"]["name"] for page in pages for entry in page["report_data"]}
    assert has <= names
    assert not has_not & names


async def test_a_report_of_chosen_components_holds_only_those(talk: Talk) -> None:
    evse = {"component": {"name": "EVSE", "evse": {"id": 2}}}
    interval = variable("OCPPCommCtrlr", "HeartbeatInterval")

    answer = await talk.call("GetReport", request_id=6, component_variable=[evse, interval])
    report = await talk.link.next("NotifyReport")

    assert answer.status == "Accepted"
    assert {entry["component"]["name"] for entry in report["report_data"]} == {"EVSE", "OCPPCommCtrlr"}
    assert {entry["component"].get("evse", {"id": 2})["id"] for entry in report["report_data"]} == {2}
    nothing = await talk.call("GetReport", request_id=7, component_criteria=["Problem"])
    assert nothing.status == "EmptyResultSet"
