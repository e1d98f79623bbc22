"""The OCPP versions that a charger can speak. A new one is a row here and a module that translates."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False, slots=True)
class Version:
    """What the rest of the simulator needs to know of a version before its module is imported."""

    name: str  #: the value of CHARGER_OCPP_VERSION
    subprotocol: str  #: of the WebSocket, as registered with IANA
    schema_set: str  #: the folder of the `ocpp` library that has its JSON schemas
    class_path: str  #: "module:class" of its ChargePoint; imported only by a charger of this version
    request_suffix: str = "Request"  #: in the name of a request's schema file, after the action
    #: this version's CALLERROR codes by those of OCPP 2.0.1, where they differ
    error_codes: Mapping[str, str] = field(default_factory=dict)


VERSIONS = {
    version.name: version
    for version in (
        Version(
            name="OCPP1.6",
            subprotocol="ocpp1.6",
            schema_set="v16",
            class_path="simulator.v16.charge_point:ChargePoint16",
            request_suffix="",
            error_codes={  # OCPP-J 1.6, table 7, spelt as there
                "FormatViolation": "FormationViolation",
                "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
                "RpcFrameworkError": "FormationViolation",
                "MessageTypeNotSupported": "NotSupported",
            },
        ),
        Version(
            name="OCPP2.0.1",
            subprotocol="ocpp2.0.1",
            schema_set="v201",
            class_path="simulator.v201.charge_point:ChargePoint201",
        ),
    )
}

#: Of the simulator, as in pyproject.toml; the charger says it to the control link.
RELEASE = "0.1.0"
