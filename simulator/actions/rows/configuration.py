"""The configuration: keys of OCPP 1.6, variables of 2.0.1."""

from typing import Any

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Outcome, Rejected
from simulator.actions.row import Event, Result, action
from simulator.configuration import OPTIONS, Option, find_option, name_of

#: How bad a status is: the worst of all keys is that of the change.
RANKS = ("Accepted", "RebootRequired", "NotSupported", "Rejected")
TAKEN = RANKS[:2]


@action(
    Field(
        name="configuration",
        type="map",
        required=True,
        min_length=1,
        max_length=100,
        items=Field(type="string", max_length=2500),
        description="Values by the key of OCPP 1.6, or the Component.Variable of 2.0.1; letter case does not matter.",
    ),
    example={"configuration": {"HeartbeatInterval": "30"}},
    answer="result",
    rejected_status=400,
    result_fields=(
        Field(name="status", type="string", required=True, description=f"The worst of {', '.join(RANKS)}."),
        Field(
            name="configured",
            type="array",
            required=True,
            items=Field(type="string"),
            description="The keys that have their new value.",
        ),
        Field(name="msg", type="string", required=True),
        Field(name="statuses", type="map", items=Field(type="string"), description="By key."),
    ),
    result_example={
        "status": "Accepted",
        "configured": ["HeartbeatInterval"],
        "msg": "HeartbeatInterval: Accepted",
        "statuses": {"HeartbeatInterval": "Accepted"},
    },
)
def configuration(charger: Charger, event: Event) -> Result:
    """Keys get new values, as by ChangeConfiguration or SetVariables.

    Each is Accepted, RebootRequired, Rejected or NotSupported for itself. When none is taken, the action is rejected.
    """
    statuses = {name: _change(charger, name, text) for name, text in event["configuration"].items()}
    msg = ", ".join(f"{name[:100]}: {status}" for name, status in statuses.items())[:1000]
    configured = [name for name, status in statuses.items() if status in TAKEN]
    worst = max(statuses.values(), key=RANKS.index)
    result = {"status": worst, "configured": configured, "msg": msg, "statuses": statuses}
    return result if configured else Outcome("rejected", msg, result)


def _change(charger: Charger, name: str, text: str) -> str:
    option = find_option(name)
    return "NotSupported" if option is None else charger.change_option(option, text)


@action(
    Field(
        name="key",
        type="string",
        nullable=True,
        min_length=1,
        max_length=100,
        description="A key of OCPP 1.6 or a Component.Variable of 2.0.1; null: all.",
    ),
    example={"key": "HeartbeatInterval"},
    method="GET",
    path="configuration",
    answer="result",
    result_fields=(
        Field(
            name="configuration",
            type="array",
            required=True,
            items=Field(
                type="object",
                fields=(
                    Field(name="key", type="string", required=True),
                    Field(name="readonly", type="boolean", required=True),
                    Field(
                        name="value",
                        type="string",
                        nullable=True,
                        description="Null: it can be written only.",
                    ),
                ),
            ),
        ),
    ),
    result_example={"configuration": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]},
)
def get_configuration(charger: Charger, event: Event) -> Result:
    """The charger's configuration, by the names of its OCPP version. Passwords are not in it."""
    if "key" not in event:
        return {"configuration": [_describe(charger, each) for each in OPTIONS if _name(charger, each)]}
    option = find_option(event["key"])
    if option is None:
        raise Rejected(f"key {event['key']} is not a setting of this charger")
    return {"configuration": [_describe(charger, option)]}


def _name(charger: Charger, option: Option) -> str | None:
    return name_of(option) if charger.counts_evses else option.key


def _describe(charger: Charger, option: Option) -> dict[str, Any]:
    hidden = option.mutability == "WriteOnly"
    return {
        "key": _name(charger, option) or option.key or name_of(option),
        "readonly": charger.options.mutability(option) == "ReadOnly",
        "value": None if hidden else charger.options.text(option.name),
    }
