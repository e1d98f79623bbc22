"""A scenario: actions with times and conditions, which a charger performs by itself."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.row import Event, Result, action

MAX_STEPS = 200  #: at each level
MAX_TIMES = 1_000_000
MAX_SECONDS = 86_400 * 31

ON_ERROR = Field(
    name="on_error",
    type="string",
    choices=("stop", "continue"),
    description="What happens when a step fails: the scenario stops (the default), or goes on.",
)

CONDITION = (
    Field(
        name="link",
        type="string",
        choices=("accepted", "offline"),
        description="The CSMS has accepted the charger, or there is no connection.",
    ),
    Field(
        name="connector_id",
        type="integer",
        minimum=1,
        maximum=1000,
        description="The connector of the other conditions, or the EVSE in OCPP 2.0.1; 1 without it.",
    ),
    Field(
        name="status",
        type="string",
        max_length=50,
        description="The connector has this status, in the words of the charger's OCPP version.",
    ),
    Field(
        name="charging_state",
        type="string",
        choices=("Idle", "EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE"),
        description="The same in both versions.",
    ),
    Field(name="plugged", type="boolean", description="A car is plugged in, or none."),
    Field(name="transaction", type="boolean", description="A transaction runs, or none."),
    Field(
        name="energy_wh",
        type="number",
        minimum=0,
        maximum=1e9,
        description="So much energy has flowed since this step began.",
    ),
    Field(
        name="soc_percent",
        type="number",
        minimum=0,
        maximum=100,
        description="The car's state of charge is at least this.",
    ),
)

STEP = (
    Field(name="do", type="string", min_length=1, max_length=50, description="An action, by its name."),
    Field(name="with", type="object", description="The event of `do`."),
    Field(
        name="wait_s",
        type="number",
        minimum=0,
        maximum=MAX_SECONDS,
        description="Waits so many seconds.",
    ),
    Field(
        name="up_to_s",
        type="number",
        minimum=0,
        maximum=MAX_SECONDS,
        description="With `wait_s`: waits a random time from that to this.",
    ),
    Field(
        name="wait_until",
        type="object",
        fields=CONDITION,
        description="Waits until all these conditions hold.",
    ),
    Field(
        name="within_s",
        type="number",
        minimum=0,
        maximum=MAX_SECONDS,
        description="With `wait_until`: the step fails after so many seconds. Without it, it waits for ever.",
    ),
    Field(
        name="loop",
        type="array",
        min_length=1,
        max_length=MAX_STEPS,
        items=Field(type="object"),
        description="Steps that are repeated. Each round takes at least 1 s.",
    ),
    Field(
        name="times",
        type="integer",
        minimum=1,
        maximum=MAX_TIMES,
        description="With `loop`: so many rounds. Without it, for ever.",
    ),
    ON_ERROR,
)

SCENARIO = (
    Field(
        name="steps",
        type="array",
        required=True,
        min_length=1,
        max_length=MAX_STEPS,
        items=Field(type="object", fields=STEP),
        description="Each has one of `do`, `wait_s`, `wait_until` and `loop`, and what belongs to it.",
    ),
    Field(
        name="seed",
        type="integer",
        minimum=0,
        maximum=2**31 - 1,
        description="The same seed repeats the random waits.",
    ),
    ON_ERROR,
)

EXAMPLE = {
    "seed": 7,
    "steps": [
        {"wait_until": {"link": "accepted"}, "within_s": 60},
        {
            "loop": [
                {"do": "plug_connector", "with": {"connector_id": 1}},
                {"wait_s": 5, "up_to_s": 20},
                {"do": "present_token", "with": {"id_tag": "CARD-1"}, "on_error": "continue"},
                {"wait_until": {"energy_wh": 2000}, "within_s": 3600},
                {"do": "unplug_connector"},
            ],
            "times": 3,
        },
    ],
}


@action(*SCENARIO, path="scenario", example=EXAMPLE)
def start_scenario(charger: Charger, event: Event) -> Result:
    """The charger begins a scenario: actions with times and conditions.

    It replaces the one that runs, and lasts until its end, until it is stopped or until the charger restarts. The
    charger's setting `scenario` begins at each start of the charger; this one does not.
    """
    try:
        charger.scenarios.start(event)
    except ValueError as error:
        raise Rejected(str(error)) from None
    return charger.scenarios.describe()


@action(
    path="scenario",
    method="GET",
    answer="result",
    result_fields=(
        Field(name="running", type="boolean", required=True),
        Field(
            name="step", type="string", nullable=True, description="The step that it is at, or was at last."
        ),
        Field(name="ended", type="string", nullable=True, description="How it ended; null while it runs."),
    ),
    result_example={"running": True, "step": "steps[1].loop[3]", "ended": None},
)
def get_scenario(charger: Charger, _: Event) -> Result:
    """Where the scenario of a charger is."""
    return charger.scenarios.describe()


@action(
    path="scenario",
    method="DELETE",
    answer="result",
    result_fields=(Field(name="stopped", type="boolean", required=True, description="Whether one ran."),),
    result_example={"stopped": True},
)
def stop_scenario(charger: Charger, _: Event) -> Result:
    """The scenario of a charger stops where it is; what it has done stays."""
    return {"stopped": charger.scenarios.stop()}
