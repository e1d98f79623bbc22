"""OCPP 2.0.1's device model: the options of the charger, and read-only facts about its components."""

import json
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from simulator.charge_point.charge_point import ChargePoint
from simulator.configuration import OPTIONS, Mutability, Option
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
    instance: str | None = None
    minimum: float | None = None
    members: tuple[str, ...] = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")


Variable = Option | Fact


class Key(NamedTuple):
    """Names a variable, in lower case: names are not case-sensitive (OCPP 2.0.1 part 1, 4)."""

    component: str
    instance: str | None
    evse_id: int | None
    connector_id: int | None
    variable: str | None  #: None in a GetReport: any
    variable_instance: str | None


class DeviceModel:
    def __init__(self, charge_point: ChargePoint) -> None:
        self._charge_point = charge_point
        self._facts: dict[Key, Fact] = {_key(_place(fact)): fact for fact in self._list_facts()}
        self._components = {key[:4] for key, _ in self._variables()}

    def get(self, request: Payload) -> Payload:
        """The result for one entry of GetVariables."""
        result, variable = self._identify(request)
        if variable is None:
            return result
        if self._mutability(variable) == "WriteOnly":
            return result | _rejected("WriteOnly")
        return result | {"attributeStatus": "Accepted", "attributeValue": self._value(variable)[:2500]}

    def set(self, request: Payload) -> Payload:
        """The result for one entry of SetVariables."""
        result, variable = self._identify(request)
        if variable is None:
            return result
        if isinstance(variable, Fact) or self._mutability(variable) == "ReadOnly":
            return result | _rejected("ReadOnly")
        is_priority = variable.name == "network_priority"
        if is_priority and not self._charge_point.network.has_slots(request["attributeValue"]):
            return result | _rejected("InvalidNetworkConf")
        status = self._charge_point.options.change(variable, request["attributeValue"])
        if status == "Rejected":
            return result | _rejected("InvalidValue")
        self._charge_point.apply_option(variable.name)
        return result | {"attributeStatus": status}

    def report(self, base: str) -> list[Payload]:
        """The entries of a base report: all, what can be set, or the states of the components (B07.FR.07 to .09)."""
        match base:
            case "FullInventory":
                chosen = [variable for _, variable in self._variables()]
            case "ConfigurationInventory":
                chosen = [each for _, each in self._variables() if self._mutability(each) != "ReadOnly"]
            case _:
                chosen = [each for _, each in self._variables() if each.variable in SUMMARY]
        return [self._describe(variable) for variable in chosen]

    def select(self, wanted: list[Payload] | None, criteria: list[str] | None) -> list[Payload]:
        """The entries that match one of the components (and variable) and one of the criteria of a GetReport."""
        patterns = None if wanted is None else [_key(each) for each in wanted]
        return [
            self._describe(variable)
            for key, variable in self._variables()
            if (patterns is None or any(_matches(key, pattern) for pattern in patterns))
            and (criteria is None or any(self._meets(key, criterion) for criterion in criteria))
        ]

    def _meets(self, key: Key, criterion: str) -> bool:
        """Whether the variable's component has the criterion as a variable that is true.

        A component without Active, Available or Enabled counts as such (B08.FR.07 to .10).
        """
        variable = self._find(key._replace(variable=criterion.lower(), variable_instance=None))
        return criterion != "Problem" if variable is None else self._value(variable) == "true"

    def _identify(self, request: Payload) -> tuple[Payload, Variable | None]:
        """The result with the names as they were requested, and its status where there is no such value."""
        kind = request.get("attributeType", "Actual")
        result = {"component": request["component"], "variable": request["variable"], "attributeType": kind}
        key = _key(request)
        variable = self._find(key)
        if variable is None:
            known = key[:4] in self._components
            return result | {"attributeStatus": "UnknownVariable" if known else "UnknownComponent"}, None
        if kind != "Actual":
            return result | {"attributeStatus": "NotSupportedAttributeType"}, None
        return result, variable

    def _find(self, key: Key) -> Variable | None:
        return OPTION_OF_PLACE.get(key) or self._facts.get(key)

    def _variables(self) -> Iterator[tuple[Key, Variable]]:
        yield from self._facts.items()
        yield from OPTION_OF_PLACE.items()

    def _mutability(self, variable: Variable) -> Mutability:
        return "ReadOnly" if isinstance(variable, Fact) else self._charge_point.options.mutability(variable)

    def _value(self, variable: Variable) -> str:
        return (
            variable.read() if isinstance(variable, Fact) else self._charge_point.options.text(variable.name)
        )

    def _describe(self, variable: Variable) -> Payload:
        """The variable as an entry of a report. It persists where a state file keeps it."""
        attribute: Payload = {"mutability": self._mutability(variable)}
        if isinstance(variable, Option):
            attribute["persistent"] = self._charge_point.memory.enabled
        if attribute["mutability"] != "WriteOnly":
            attribute["value"] = self._value(variable)[:2500]
        return _place(variable) | {
            "variableAttribute": [attribute],
            "variableCharacteristics": _characteristics(variable),
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
        yield Fact(
            "ChargingStation", "SerialNumber", "string", lambda: settings.serial_number or settings.identity
        )
        yield Fact("ChargingStation", "SupplyPhases", "integer", lambda: phases)
        yield Fact(
            "Controller", "FirmwareVersion", "string", lambda: charge_point.maintenance.firmware_version
        )
        yield Fact("ClockCtrlr", "DateTime", "dateTime", charge_point.clock.stamp)
        yield Fact("SecurityCtrlr", "Identity", "string", lambda: settings.identity)
        yield Fact("SecurityCtrlr", "CertificateEntries", "integer", lambda: "0")
        for component in ("AuthCacheCtrlr", "LocalAuthListCtrlr", "ReservationCtrlr", "SmartChargingCtrlr"):
            yield Fact(component, "Available", "boolean", lambda: "true")
        network = charge_point.network
        yield Fact("OCPPCommCtrlr", "ActiveNetworkProfile", "string", lambda: str(network.profile.slot))
        yield Fact(
            "OCPPCommCtrlr",
            "MessageTimeout",
            "integer",
            lambda: str(math.ceil(network.profile.call_timeout_s)),
            unit="s",
            instance="Default",
        )
        yield from self._list_counts()
        for connector in charge_point.station.connectors:
            yield from self._list_evse_facts(connector, phases)

    def _list_counts(self) -> Iterator[Fact]:
        """How much is stored, with the most that can be."""
        authorizer, options = self._charge_point.authorizer, self._charge_point.options
        profiles = self._charge_point.station.profiles

        def cache_bytes() -> str:
            return str(len(json.dumps(authorizer.cache)))

        yield Fact("AuthCacheCtrlr", "Storage", "integer", cache_bytes, unit="B")
        yield Fact(
            "SmartChargingCtrlr",
            "Entries",
            "integer",
            lambda: str(len(profiles)),
            maximum=options.number("max_profiles"),
            instance="ChargingProfiles",
        )
        yield Fact(
            "LocalAuthListCtrlr",
            "Entries",
            "integer",
            lambda: str(len(authorizer.local_list)),
            maximum=options.number("local_list_max"),
        )

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
        yield Fact("EVSE", "AllowReset", "boolean", lambda: "true", number)
        yield Fact("EVSE", "Power", "decimal", power, number, None, "W", settings.max_power_w)
        yield Fact("Connector", "ConnectorType", "string", lambda: settings.type_of(number), number, 1)

    def _availability(self) -> str:
        availability = self._charge_point.station.availability
        return "Available" if availability.is_station_available else "Unavailable"

    def _problems(self) -> Iterator[bool]:
        return (connector.fault is not None for connector in self._charge_point.station.connectors)


#: The variables of a SummaryInventory (B07.FR.09).
SUMMARY = ("AvailabilityState", "Problem")


def _place(variable: Variable) -> Payload:
    component: Payload = {"name": variable.component}
    if isinstance(variable, Fact) and variable.evse_id is not None:
        component["evse"] = {"id": variable.evse_id}
        if variable.connector_id is not None:
            component["evse"]["connectorId"] = variable.connector_id
    instance = {"instance": variable.instance} if variable.instance else {}
    return {"component": component, "variable": {"name": variable.variable} | instance}


def _characteristics(variable: Variable) -> Payload:
    found: Payload = {"dataType": variable.kind, "supportsMonitoring": False}
    if variable.unit:
        found["unit"] = variable.unit
    if variable.kind.endswith("List"):
        return found | {"valuesList": ",".join(variable.members)}
    if variable.minimum is not None:
        found["minLimit"] = variable.minimum
    if variable.maximum is not None:
        found["maxLimit"] = variable.maximum
    return found


def _key(place: Payload) -> Key:
    component, variable = place["component"], place.get("variable", {})
    evse = component.get("evse", {})
    return Key(
        component["name"].lower(),
        _lower(component.get("instance")),
        evse.get("id"),
        evse.get("connectorId"),
        _lower(variable.get("name")),
        _lower(variable.get("instance")),
    )


def _lower(name: str | None) -> str | None:
    return None if name is None else name.lower()


def _matches(key: Key, pattern: Key) -> bool:
    """What a GetReport leaves out (EVSE, connector, variable, an instance) matches any."""
    return key.component == pattern.component and all(
        wanted in (None, own) for own, wanted in zip(key, pattern, strict=True)
    )


def _rejected(reason_code: str) -> Payload:
    return {"attributeStatus": "Rejected", "attributeStatusInfo": {"reasonCode": reason_code}}


def _truth(value: bool) -> str:
    return "true" if value else "false"


OPTION_OF_PLACE = {_key(_place(option)): option for option in OPTIONS if option.component}
