"""OCPP 2.0.1's device model: the options of the charger, and read-only facts about its components."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from simulator.charge_point.charge_point import ChargePoint
from simulator.configuration import Option
from simulator.link.frames import Payload
from simulator.station.model import Connector


class Fact(NamedTuple):
    """A read-only variable."""

    component: str
    variable: str
    kind: str
    read: Callable[[], str]
    evse_id: int | None = None
    connector_id: int | None = None
    unit: str | None = None
    maximum: float | None = None  #: its maxLimit

    @property
    def place(self) -> Payload:
        component: Payload = {"name": self.component}
        if self.evse_id is not None:
            component["evse"] = {"id": self.evse_id} | (
                {"connectorId": self.connector_id} if self.connector_id is not None else {}
            )
        return {"component": component, "variable": {"name": self.variable}}


Key = tuple[str, str | None, int | None, int | None, str, str | None]


class DeviceModel:
    def __init__(self, charge_point: ChargePoint) -> None:
        self._charge_point = charge_point
        self._options: dict[Key, Option] = {
            _key(_option_place(option)): option for option in charge_point.options if option.component
        }
        self._facts: dict[Key, Fact] = {_key(fact.place): fact for fact in self._list_facts()}

    def get(self, request: Payload) -> Payload:
        """The result for one entry of GetVariables."""
        kind = request.get("attributeType", "Actual")
        result = {"component": request["component"], "variable": request["variable"], "attributeType": kind}
        key = _key(request)
        if key not in self._options and key not in self._facts:
            return result | {"attributeStatus": self._missing(key)}
        if kind != "Actual":
            return result | {"attributeStatus": "NotSupportedAttributeType"}
        option = self._options.get(key)
        if option is None:
            return result | {"attributeStatus": "Accepted", "attributeValue": self._facts[key].read()[:2500]}
        if option.mutability == "WriteOnly":
            return result | {"attributeStatus": "Rejected"}
        value = self._charge_point.options.text(option.name)
        return result | {"attributeStatus": "Accepted", "attributeValue": value[:2500]}

    def set(self, request: Payload) -> Payload:
        """The result for one entry of SetVariables."""
        kind = request.get("attributeType", "Actual")
        result = {"component": request["component"], "variable": request["variable"], "attributeType": kind}
        key = _key(request)
        if key in self._facts:
            return result | {"attributeStatus": "Rejected"}
        if key not in self._options:
            return result | {"attributeStatus": self._missing(key)}
        if kind != "Actual":
            return result | {"attributeStatus": "NotSupportedAttributeType"}
        option = self._options[key]
        status = self._charge_point.options.change(option, request["attributeValue"])
        if status != "Rejected":
            self._charge_point.apply_option(option.name)
        return result | {"attributeStatus": status}

    def report(self, base: str) -> list[Payload]:
        """The configuration inventory is the options; the summary is the states of the components."""
        options = [self._describe_option(option) for option in self._options.values()]
        facts = [_describe_fact(fact) for fact in self._facts.values()]
        match base:
            case "ConfigurationInventory":
                return options
            case "SummaryInventory":
                return [_describe_fact(f) for f in self._facts.values() if f.variable in SUMMARY]
            case _:
                return facts + options

    def select(self, wanted: list[Payload] | None, criteria: list[str] | None) -> list[Payload]:
        """The entries that match one of the components (and variable) and one of the criteria of a GetReport."""
        entries = self.report("FullInventory")
        if wanted is not None:
            entries = [entry for entry in entries if any(_matches(entry, each) for each in wanted)]
        if criteria is not None:
            names = {VARIABLE_OF_CRITERION[criterion] for criterion in criteria}
            entries = [
                entry
                for entry in entries
                if entry["variable"]["name"] in names and entry["variableAttribute"][0].get("value") == "true"
            ]
        return entries

    def _missing(self, key: Key) -> str:
        known = {(component, evse_id) for component, _, evse_id, *_ in (*self._options, *self._facts)}
        return "UnknownVariable" if (key[0], key[2]) in known else "UnknownComponent"

    def _describe_option(self, option: Option) -> Payload:
        attribute: Payload = {"mutability": option.mutability, "persistent": True}
        if option.mutability != "WriteOnly":
            attribute["value"] = self._charge_point.options.text(option.name)
        characteristics: Payload = {"dataType": option.kind, "supportsMonitoring": False}
        if option.unit:
            characteristics["unit"] = option.unit
        if option.minimum is not None:
            characteristics["minLimit"] = option.minimum
        if option.maximum is not None:
            characteristics["maxLimit"] = option.maximum
        if option.members:
            characteristics["valuesList"] = ",".join(option.members)
        return _option_place(option) | {
            "variableAttribute": [attribute],
            "variableCharacteristics": characteristics,
        }

    def _list_facts(self) -> Iterator[Fact]:
        charge_point = self._charge_point
        settings, electrics = charge_point.settings, charge_point.station.electrics
        phases = str(electrics.phases)
        yield Fact("ChargingStation", "AvailabilityState", "OptionList", self._availability)
        yield Fact("ChargingStation", "Available", "boolean", lambda: "true")
        yield Fact("ChargingStation", "Problem", "boolean", lambda: _truth(any(self._problems())))
        yield Fact("ChargingStation", "Model", "string", lambda: settings.model)
        yield Fact("ChargingStation", "VendorName", "string", lambda: settings.vendor_name)
        yield Fact("ChargingStation", "SerialNumber", "string", lambda: settings.identity)
        yield Fact("ChargingStation", "SupplyPhases", "integer", lambda: phases)
        yield Fact(
            "Controller", "FirmwareVersion", "string", lambda: charge_point.maintenance.firmware_version
        )
        yield Fact("ClockCtrlr", "DateTime", "dateTime", charge_point.clock.stamp)
        yield Fact("AuthCacheCtrlr", "Storage", "integer", lambda: str(len(charge_point.authorizer.cache)))
        yield Fact(
            "LocalAuthListCtrlr", "Entries", "integer", lambda: str(len(charge_point.authorizer.local_list))
        )
        for connector in charge_point.station.connectors:
            yield from self._list_evse_facts(connector, phases)

    def _list_evse_facts(self, connector: Connector, phases: str) -> Iterator[Fact]:
        settings, number = self._charge_point.settings, connector.number

        def state() -> str:
            return self._charge_point.status_of(number)

        def power() -> str:
            return f"{connector.power_w:.0f}"

        for component, place in (("EVSE", (number, None)), ("Connector", (number, 1))):
            yield Fact(component, "AvailabilityState", "OptionList", state, *place)
            yield Fact(component, "Available", "boolean", lambda: "true", *place)
            yield Fact(component, "Problem", "boolean", lambda: _truth(connector.fault is not None), *place)
            yield Fact(component, "SupplyPhases", "integer", lambda: phases, *place)
        yield Fact("EVSE", "Power", "decimal", power, number, None, "W", settings.max_power_w)
        yield Fact("Connector", "ConnectorType", "string", lambda: settings.connector_type, number, 1)

    def _availability(self) -> str:
        connectors = self._charge_point.station.connectors
        return "Available" if any(connector.operative for connector in connectors) else "Unavailable"

    def _problems(self) -> Iterator[bool]:
        return (connector.fault is not None for connector in self._charge_point.station.connectors)


#: The variables of a SummaryInventory (OCPP 2.0.1 part 2, B07.FR.09).
SUMMARY = ("AvailabilityState", "Problem")

VARIABLE_OF_CRITERION = {
    "Active": "Active",
    "Available": "Available",
    "Enabled": "Enabled",
    "Problem": "Problem",
}


def _option_place(option: Option) -> Payload:
    variable: Payload = {"name": option.variable}
    if option.instance:
        variable["instance"] = option.instance
    return {"component": {"name": option.component}, "variable": variable}


def _describe_fact(fact: Fact) -> Payload:
    characteristics: Payload = {"dataType": fact.kind, "supportsMonitoring": False}
    if fact.unit:
        characteristics["unit"] = fact.unit
    if fact.maximum is not None:
        characteristics["maxLimit"] = fact.maximum
    if fact.kind == "OptionList":
        characteristics["valuesList"] = "Available,Occupied,Reserved,Unavailable,Faulted"
    return fact.place | {
        "variableAttribute": [{"value": fact.read(), "mutability": "ReadOnly"}],
        "variableCharacteristics": characteristics,
    }


def _key(place: Payload) -> Key:
    """Names of components and variables are not case-sensitive (OCPP 2.0.1 part 1, 4)."""
    component, variable = place["component"], place["variable"]
    evse = component.get("evse", {})
    return (
        component["name"].lower(),
        component.get("instance"),
        evse.get("id"),
        evse.get("connectorId"),
        variable["name"].lower(),
        variable.get("instance"),
    )


def _matches(entry: Payload, wanted: Payload) -> bool:
    component, wanted_component = entry["component"], wanted["component"]
    if component["name"].lower() != wanted_component["name"].lower():
        return False
    if "evse" in wanted_component and component.get("evse", {}) | wanted_component["evse"] != component.get(
        "evse", {}
    ):
        return False
    variable = wanted.get("variable")
    return variable is None or entry["variable"]["name"].lower() == variable["name"].lower()


def _truth(value: bool) -> str:
    return "true" if value else "false"
