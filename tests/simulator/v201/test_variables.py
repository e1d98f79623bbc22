"""OCPP 2.0.1: the device model."""

import asyncio

import pytest
from ocpp.exceptions import (  # type: ignore[import-untyped]
    FormatViolationError,
    OccurrenceConstraintViolationError,
)

from simulator.clock import parse_time
from tests.simulator.talk import Talk
from tests.support.csms import Payload, call201
from tests.support.waiting import wait_until_async


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
        (variable("OCPPCommCtrlr", "half of an emoji: \ud83d"), "UnknownVariable", None),
        (variable("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"), "Accepted", "3"),
        (variable("EVSE", "AvailabilityState", evse_id=2), "Accepted", "Available"),
        (variable("ChargingStation", "Model"), "Accepted", "Simulator"),
        (variable("LocalAuthListCtrlr", "Entries"), "Accepted", "0"),
        (variable("SecurityCtrlr", "BasicAuthPassword"), "Rejected", None),
        (variable("OCPPCommCtrlr", "MessageAttempts"), "UnknownVariable", None),
        (variable("EVSE", "AvailabilityState", evse_id=9), "UnknownComponent", None),
        (variable("OCPPCommCtrlr", "HeartbeatInterval", evse_id=1), "UnknownComponent", None),
        (variable("OCPPCommCtrlr", "messageATTEMPTS", "transactionevent"), "Accepted", "3"),
        (variable("SmartChargingCtrlr", "Entries", "ChargingProfiles"), "Accepted", "0"),
        (variable("SmartChargingCtrlr", "Available"), "Accepted", "true"),
        (variable("ReservationCtrlr", "Available"), "Accepted", "true"),
        (variable("LocalAuthListCtrlr", "Available"), "Accepted", "true"),
        (variable("SecurityCtrlr", "Identity"), "Accepted", "CP-1"),
        (
            {"component": {"name": "TxCtrlr", "instance": "x"}, "variable": {"name": "TxStartPoint"}},
            "UnknownComponent",
            None,
        ),
        (
            variable("ChargingStation", "Model") | {"attribute_type": "MaxSet"},
            "NotSupportedAttributeType",
            None,
        ),
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
        (variable("TxCtrlr", "TxStartPoint"), "Authorized,Authorized", "Rejected"),
        (variable("TxCtrlr", "TxStartPoint"), "", "Rejected"),
        (variable("SecurityCtrlr", "OrganizationName"), "Charging Inc.", "Accepted"),
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "soon", "Rejected"),
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "\ud800", "Rejected"),
        (variable("SecurityCtrlr", "SecurityProfile"), "3", "Rejected"),
        (variable("ChargingStation", "Model"), "Other", "Rejected"),
        (variable("TxCtrlr", "Nonsense"), "1", "UnknownVariable"),
        (variable("Toaster", "Slots"), "1", "UnknownComponent"),
        (
            variable("TxCtrlr", "TxStartPoint") | {"attribute_type": "MaxSet"},
            "x",
            "NotSupportedAttributeType",
        ),
        (
            variable("ChargingStation", "Model") | {"attribute_type": "Target"},
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


def entry_names(report: Payload) -> set[tuple[object, ...]]:
    """Component, EVSE, connector, variable and instance of each entry."""
    return {
        (
            entry["component"]["name"],
            *(entry["component"].get("evse", {}).get(part) for part in ("id", "connector_id")),
            entry["variable"]["name"],
            entry["variable"].get("instance"),
        )
        for entry in report["report_data"]
    }


@pytest.mark.parametrize(
    ("requested", "found"),
    [
        (
            variable("devicedatactrlr", "itemspermessage", "getreport"),
            {("DeviceDataCtrlr", None, None, "ItemsPerMessage", "GetReport")},
        ),
        (
            variable("DeviceDataCtrlr", "ItemsPerMessage"),
            {
                ("DeviceDataCtrlr", None, None, "ItemsPerMessage", instance)
                for instance in ("GetReport", "GetVariables", "SetVariables")
            },
        ),
        (
            variable("Connector", "AvailabilityState"),
            {("Connector", number, 1, "AvailabilityState", None) for number in (1, 2)},
        ),
        (
            {
                "component": {"name": "Connector", "evse": {"id": 2, "connector_id": 1}},
                "variable": {"name": "ConnectorType"},
            },
            {("Connector", 2, 1, "ConnectorType", None)},
        ),
    ],
)
async def test_what_a_report_request_leaves_out_matches_any(
    talk: Talk, requested: Payload, found: set[tuple[object, ...]]
) -> None:
    """B08.FR.22 and .23, TC_B_55: an instance, an EVSE or a connector that is not named."""
    assert (await talk.call("GetReport", request_id=1, component_variable=[requested])).status == "Accepted"

    assert entry_names(await talk.link.next("NotifyReport")) == found


@pytest.mark.parametrize(
    "requested",
    [
        variable("DeviceDataCtrlr", "ItemsPerMessage", "Nonsense"),
        {"component": {"name": "TxCtrlr", "instance": "1"}},
        {"component": {"name": "EVSE", "evse": {"id": 2, "connector_id": 1}}},
    ],
)
async def test_a_report_of_what_does_not_exist_is_empty(talk: Talk, requested: Payload) -> None:
    answer = await talk.call("GetReport", request_id=1, component_variable=[requested])

    assert answer.status == "EmptyResultSet"


@pytest.mark.parametrize(
    ("criteria", "components"),
    [
        (["Problem"], {("ChargingStation", None), ("EVSE", 2), ("Connector", 2)}),
        (["Available", "Problem"], {("EVSE", 1), ("EVSE", 2), ("Connector", 1), ("TxCtrlr", None)}),
        (["Enabled"], {("EVSE", 1), ("TxCtrlr", None)}),
        (["Active"], {("LocalAuthListCtrlr", None), ("EVSE", 1)}),
    ],
)
async def test_a_component_meets_a_criterion_that_it_does_not_have_except_a_problem(
    talk: Talk, criteria: list[str], components: set[tuple[str, int | None]]
) -> None:
    """B08.FR.07 to .10 and .13, TC_B_18: all variables of the components, of which one criterion holds."""
    await talk.perform("Fault", '{"connector": 2}')
    talk.model.options.set("local_list_enabled", "false")

    assert (await talk.call("GetReport", request_id=1, component_criteria=criteria)).status == "Accepted"

    await talk.link.next("NotifyReport", lambda payload: not payload["tbc"])
    names = set[tuple[object, ...]]().union(*map(entry_names, talk.link.all("NotifyReport")))
    reported = {(component, evse_id) for component, evse_id, *_ in names}
    assert components <= reported
    assert ("EVSE", 1) in reported or criteria == ["Problem"]
    assert ("LocalAuthListCtrlr", None) not in reported or criteria != ["Enabled"]
    assert criteria != ["Problem"] or reported == components
    assert ("EVSE", 2, None, "Power", None) in names or criteria == ["Available"]


#: Required by the appendix of part 2, in libocpp's component schemas too, for what this charger supports.
REQUIRED_VARIABLES = {
    "AlignedDataCtrlr": "Interval Measurands TxEndedInterval TxEndedMeasurands",
    "AuthCtrlr": "AuthorizeRemoteStart LocalAuthorizeOffline LocalPreAuthorize",
    "ChargingStation": "AvailabilityState Available Model SupplyPhases VendorName",
    "ClockCtrlr": "DateTime TimeSource",
    "Connector": "Available ConnectorType SupplyPhases",
    "DeviceDataCtrlr": "BytesPerMessage ItemsPerMessage",
    "EVSE": "AvailabilityState Available Power SupplyPhases",
    "LocalAuthListCtrlr": "BytesPerMessage Entries ItemsPerMessage",
    "OCPPCommCtrlr": "FileTransferProtocols MessageAttemptInterval MessageAttempts MessageTimeout "
    "NetworkConfigurationPriority NetworkProfileConnectionAttempts OfflineThreshold ResetRetries RetryBackOffRandomRange "
    "RetryBackOffRepeatTimes RetryBackOffWaitMinimum UnlockOnEVSideDisconnect WebSocketPingInterval",
    "SampledDataCtrlr": "TxEndedInterval TxEndedMeasurands TxStartedMeasurands TxUpdatedInterval TxUpdatedMeasurands",
    "SecurityCtrlr": "CertificateEntries OrganizationName SecurityProfile",
    "SmartChargingCtrlr": "Entries LimitChangeSignificance PeriodsPerSchedule ProfileStackLevel RateUnit",
    "TxCtrlr": "EVConnectionTimeOut StopTxOnEVSideDisconnect StopTxOnInvalidId TxStartPoint TxStopPoint",
}


async def test_the_full_inventory_has_every_required_variable_with_true_characteristics(talk: Talk) -> None:
    await talk.call("GetBaseReport", request_id=1, report_base="FullInventory")
    await talk.link.next("NotifyReport", lambda payload: not payload["tbc"])
    entries = [entry for page in talk.link.all("NotifyReport") for entry in page["report_data"]]

    names = {(entry["component"]["name"], entry["variable"]["name"]) for entry in entries}
    assert {
        (component, each) for component, all in REQUIRED_VARIABLES.items() for each in all.split()
    } <= names
    assert len({str((entry["component"], entry["variable"])) for entry in entries}) == len(entries)
    for entry in entries:
        check_value(entry)


def check_value(entry: Payload) -> None:
    """The value is of its type, and within its limits and list."""
    (attribute,), about = entry["variable_attribute"], entry["variable_characteristics"]
    value, kind = attribute.get("value"), about["data_type"]
    assert about["supports_monitoring"] is False
    assert (value is None) == (attribute["mutability"] == "WriteOnly")
    match kind:
        case "integer" | "decimal":
            number = int(value) if kind == "integer" else float(value)
            assert about.get("min_limit", number) <= number <= about.get("max_limit", number), entry
        case "boolean":
            assert value in ("true", "false")
        case "dateTime":
            assert parse_time(value)
        case "OptionList" | "MemberList" | "SequenceList":
            assert set(value.split(",")) - {""} <= set(about["values_list"].split(",")), entry


@pytest.mark.parametrize(
    ("name", "field", "option"),
    [
        ("GetVariables", "get_variable_data", "get_variables"),
        ("SetVariables", "set_variable_data", "set_variables"),
        ("GetReport", "component_variable", "report"),
    ],
)
async def test_a_request_above_the_published_size_is_refused(
    talk: Talk, name: str, field: str, option: str
) -> None:
    """B06.FR.16 and .17, B08.FR.17 and .18, as libocpp does. Below it, each entry has its result, in order."""
    more = {"request_id": 1} if name == "GetReport" else {}
    extra = {"attribute_value": "1"} if name == "SetVariables" else {}
    most = talk.model.options.number(f"{option}_items")
    requested = [variable("TxCtrlr", f"V{number}") | extra for number in range(most)]

    answer = await talk.call(name, **{field: requested}, **more)
    if name != "GetReport":
        results = getattr(answer, f"{field.removesuffix('_data')}_result")
        assert [each["variable"]["name"] for each in results] == [
            each["variable"]["name"] for each in requested
        ]
    with pytest.raises(OccurrenceConstraintViolationError):
        await talk.call(name, **{field: [*requested, requested[0]]}, **more)
    talk.model.options.set(f"{option}_bytes", 500)
    with pytest.raises(FormatViolationError):
        await talk.call(name, **{field: requested}, **more)


async def test_no_page_of_a_report_follows_the_end_of_its_connection(talk: Talk) -> None:
    answered = asyncio.Event()

    async def answer(_: Payload) -> Payload:
        await answered.wait()
        return {}

    talk.csms.answers["NotifyReport"] = answer
    await talk.call("GetBaseReport", request_id=1, report_base="FullInventory")
    await talk.link.next("NotifyReport")
    await talk.link.socket.close()
    answered.set()
    again = await talk.csms.link(2)
    talk.csms.answers.pop("NotifyReport")
    await wait_until_async(lambda: talk.model.reachable)
    await again.call(call201.GetBaseReport(request_id=2, report_base="SummaryInventory"))
    await again.next("NotifyReport")

    assert [page["request_id"] for page in again.all("NotifyReport")] == [2]


@pytest.mark.charger(connector_type="CCS2")
async def test_a_fixed_cable_is_never_unlocked(talk: Talk) -> None:
    """Part 2, appendix: UnlockOnEVSideDisconnect is ReadOnly and false with fixed cables only."""
    place = variable("OCPPCommCtrlr", "UnlockOnEVSideDisconnect")
    (result,) = (
        await talk.call("SetVariables", set_variable_data=[place | {"attribute_value": "true"}])
    ).set_variable_result
    await talk.call("GetReport", request_id=1, component_variable=[place])
    ((entry,),) = [report["report_data"] for report in [await talk.link.next("NotifyReport")]]

    assert (result["attribute_status"], result["attribute_status_info"]["reason_code"]) == (
        "Rejected",
        "ReadOnly",
    )
    assert (entry["variable_attribute"][0]["mutability"], entry["variable_attribute"][0]["value"]) == (
        "ReadOnly",
        "false",
    )


async def test_only_a_significant_change_of_the_power_is_sent(talk: Talk) -> None:
    """TriggerReasonEnumType: "Rate of charging changed by more than LimitChangeSignificance"."""
    data = variable("SmartChargingCtrlr", "LimitChangeSignificance") | {"attribute_value": "10.5"}
    await talk.call("SetVariables", set_variable_data=[data])
    await talk.start()
    for power_w in (20_000, 19_690, 19_680, 18_000):
        await talk.perform("SetPower", f'{{"powerW": {power_w}}}')

    await talk.event("Updated", "ChargingRateChanged")
    await talk.request_stop()
    await talk.event("Ended")
    sent = [
        event
        for event in talk.link.all("TransactionEvent")
        if event["trigger_reason"] == "ChargingRateChanged"
    ]
    assert len(sent) == 1
