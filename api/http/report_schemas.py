"""What a charger reports of itself over the control link, in the answers. Beyond the contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant
from shared.models import ShownReport
from shared.vocabulary import RemarkLevel

NUMBER = (int, float)

#: The members of a connector, and their types: nothing else that a process may say reaches an answer.
MEMBERS: Mapping[str, tuple[type, ...]] = {
    "connector_id": (int,),
    "evse_id": (int,),
    "status": (str,),
    "plugged": (bool,),
    "id_tag": (str,),
    "reservation_id": (int,),
    "transaction_id": (str,),
    "transaction_energy_wh": NUMBER,
    "power_w": NUMBER,
    "energy_wh": NUMBER,
    "soc_percent": NUMBER,
    "fault": (str,),
}


class ReportedConnector(Schema):
    """A connector, as the charger last reported it."""

    connector_id = fields.Integer(allow_none=True)
    evse_id = fields.Integer(allow_none=True, metadata={"description": "Null in OCPP 1.6."})
    status = fields.String(
        allow_none=True,
        metadata={"description": "Of its StatusNotification, in the words of the charger's OCPP version."},
    )
    plugged = fields.Boolean(allow_none=True)
    id_tag = fields.String(allow_none=True, metadata={"description": "The token that may charge here."})
    reservation_id = fields.Integer(
        allow_none=True,
        metadata={"description": "Of the reservation that keeps it, or that its token has used."},
    )
    transaction_id = fields.String(allow_none=True, metadata={"description": "As the CSMS knows it."})
    transaction_energy_wh = fields.Float(
        allow_none=True,
        metadata={"description": "Since the transaction began, in watt-hours; null without one."},
    )
    power_w = fields.Float(allow_none=True, metadata={"description": "Watts."})
    energy_wh = fields.Float(
        allow_none=True, metadata={"description": "The register of the meter, in watt-hours."}
    )
    soc_percent = fields.Float(
        allow_none=True, metadata={"description": "Of the car's battery; null without a car."}
    )
    fault = fields.String(allow_none=True, metadata={"description": "Its error code."})


class ReportedRemark(Schema):
    """The last warning or error of the charger."""

    level = fields.String(allow_none=True, metadata={"enum": [*RemarkLevel, None]})
    message = fields.String(allow_none=True)
    at = fields.String(allow_none=True, metadata={"description": "By the charger's clock."})


class ControlLinkState(Schema):
    """The charger's connection to the control link, over which its reports come."""

    connected = fields.Boolean(required=True)
    since = Instant(
        allow_none=True, metadata={"description": "When it connected, or ceased to be connected."}
    )
    version = fields.String(allow_none=True, metadata={"description": "Of the simulator."})
    reported_at = Instant(allow_none=True, metadata={"description": "When its last report came."})
    stale = fields.Boolean(
        required=True,
        metadata={"description": "It is not connected any more, so its connectors may have changed since."},
    )
    remark = fields.Nested(ReportedRemark, allow_none=True)


@dataclass(frozen=True, slots=True)
class ControlState:
    connected: bool
    since: datetime | None
    version: str | None
    reported_at: datetime | None
    stale: bool
    remark: dict[str, Any] | None


#: Of a charger that was never connected.
NEVER = ControlState(False, None, None, None, False, None)


def control_of(shown: ShownReport | None) -> ControlState:
    """Whether the charger's process is connected to the control link, and how old its report is."""
    if shown is None:
        return NEVER
    return ControlState(
        connected=shown.connected,
        since=shown.connected_at if shown.connected else shown.disconnected_at,
        version=shown.version,
        reported_at=shown.reported_at,
        stale=shown.reported_at is not None and not shown.current,
        remark=shown.remark and {name: _text(shown.remark.get(name)) for name in ("level", "message", "at")},
    )


def connectors_of(shown: ShownReport | None) -> list[dict[str, Any]] | None:
    """The connectors as they were last reported; None before the first report of this start."""
    if shown is None or shown.reported_at is None:
        return None
    return readable_connectors(shown.connectors)


def readable_connectors(reported: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With every member, null where the charger says nothing that can be read."""
    return [{name: _member(each.get(name), types) for name, types in MEMBERS.items()} for each in reported]


def _member(value: Any, types: tuple[type, ...]) -> Any:
    is_right = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    return value if is_right else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class Connectors(fields.List):  # type: ignore[type-arg]  # marshmallow's is generic for type checkers only
    """Computed from the charger's row."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.Nested(ReportedConnector), **kwargs)

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return connectors_of(obj.control)


class ControlLink(fields.Nested):
    """Computed from the charger's row."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ControlLinkState, **kwargs)

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return control_of(obj.control)
