"""What a tester makes a charger do wrong on purpose."""

from dataclasses import replace

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.row import Event, Result, Variant, action
from simulator.misbehaviour.switches import DEFAULT_N, NOT_A_VALUE

MAX_SECONDS = 86_400

ACTION = Field(
    name="action",
    type="string",
    min_length=1,
    max_length=50,
    description="Only for this message, as OCPP writes it: `StatusNotification`. Without it: for each.",
)
FRAMES = Field(
    name="frames",
    type="string",
    choices=("answers", "calls"),
    description="`answers` of the charger to the CSMS's requests (the default), or its own `calls`.",
)
SECONDS = Field(name="seconds", type="number", required=True, minimum=0, maximum=MAX_SECONDS)
HOW_OFTEN = (
    Field(
        name="how_often",
        type="string",
        choices=("once", "always", "one_in_n"),
        description="`once` (the default), `always`, or at random `one_in_n` times.",
    ),
    Field(
        name="n",
        type="integer",
        minimum=1,
        maximum=1_000_000,
        description=f"Of `one_in_n`; {DEFAULT_N} without it.",
    ),
    Field(
        name="seed",
        type="integer",
        minimum=0,
        maximum=2**31 - 1,
        description="Of `one_in_n`: the same seed chooses the same frames. 0 without it.",
    ),
)

KINDS = (
    Variant(
        name="drop_link",
        summary="The link to the CSMS breaks without a close frame, and comes back after `seconds`.",
        fields=(
            SECONDS,
            Field(
                name="after",
                type="string",
                min_length=1,
                max_length=50,
                description="Not now, but right after the charger has sent a frame of this message: its answer is lost.",
            ),
            *HOW_OFTEN,
        ),
        example={"kind": "drop_link", "seconds": 30, "after": "Authorize"},
    ),
    Variant(
        name="power_cut",
        summary="The power fails: no last word; after `seconds` the charger boots, and transactions have ended by PowerLoss.",
        fields=(SECONDS,),
        example={"kind": "power_cut", "seconds": 10},
    ),
    Variant(
        name="clock_skew",
        summary="The charger's clock is wrong by so many seconds, whatever time the CSMS sends.",
        fields=(
            Field(
                name="offset_seconds",
                type="number",
                required=True,
                minimum=-315_360_000,
                maximum=315_360_000,
                description="Above 0: the clock is ahead. 0: it is right again.",
            ),
        ),
        example={"kind": "clock_skew", "offset_seconds": -3600},
    ),
    Variant(
        name="refuse_requests",
        summary="The CSMS's requests are answered with a CALLERROR, and the charger does not act on them.",
        fields=(
            ACTION,
            Field(
                name="code",
                type="string",
                min_length=1,
                max_length=50,
                description="The error code, as it is sent. InternalError without it.",
            ),
            Field(name="description", type="string", max_length=255, description="Of the error."),
            *HOW_OFTEN,
        ),
        example={"kind": "refuse_requests", "action": "ChangeAvailability", "code": "GenericError"},
    ),
    Variant(
        name="answer_with",
        summary="A request gets the given answer, which may break its schema, and the charger does not act on it.",
        fields=(
            replace(ACTION, required=True, description="The request, as OCPP writes it."),
            Field(name="answer", type="object", required=True, description="The payload of the answer."),
            *HOW_OFTEN,
        ),
        example={
            "kind": "answer_with",
            "action": "UnlockConnector",
            "answer": {"status": "NotSupported"},
            "how_often": "always",
        },
    ),
    Variant(
        name="lock_fails",
        summary="UnlockConnector is answered with UnlockFailed: the lock is stuck.",
        fields=(
            Field(
                name="connector_id",
                type="integer",
                minimum=1,
                maximum=1000,
                description="The connector, or the EVSE in OCPP 2.0.1. Without it: any.",
            ),
            *HOW_OFTEN,
        ),
        example={"kind": "lock_fails", "connector_id": 1},
    ),
    Variant(
        name="delay_frames",
        summary="Frames leave `seconds` late; later ones may overtake them.",
        fields=(SECONDS, FRAMES, ACTION, *HOW_OFTEN),
        example={"kind": "delay_frames", "seconds": 5, "action": "TriggerMessage"},
    ),
    Variant(
        name="duplicate_frames",
        summary="Frames are sent twice.",
        fields=(FRAMES, ACTION, *HOW_OFTEN),
        example={"kind": "duplicate_frames", "how_often": "one_in_n", "n": 5, "seed": 7},
    ),
    Variant(
        name="withhold_frames",
        summary="Frames are not sent: the CSMS waits for an answer in vain, or never sees a call.",
        fields=(FRAMES, ACTION, *HOW_OFTEN),
        example={"kind": "withhold_frames", "action": "Reset"},
    ),
    Variant(
        name="break_json",
        summary="Frames lack their last two brackets: they are no JSON.",
        fields=(FRAMES, ACTION, *HOW_OFTEN),
        example={"kind": "break_json", "frames": "calls", "action": "Heartbeat"},
    ),
    Variant(
        name="wrong_enum",
        summary="Frames have a value that its enumeration lacks, where they have an enumeration.",
        fields=(
            FRAMES,
            ACTION,
            Field(
                name="field",
                type="string",
                min_length=1,
                max_length=50,
                description="The name of the field, as OCPP writes it. Without it: the first that has an enumeration.",
            ),
            Field(
                name="value",
                type="string",
                max_length=100,
                description=f"The value to send. {NOT_A_VALUE} without it.",
            ),
            *HOW_OFTEN,
        ),
        example={
            "kind": "wrong_enum",
            "frames": "calls",
            "action": "StatusNotification",
            "value": "Exploding",
        },
    ),
)

#: All fields of the kinds, by name.
FIELDS = {field.name: replace(field, required=False) for kind in KINDS for field in kind.fields}

ARMED = {
    "armed": [
        {"kind": "clock_skew", "fired": 1, "offset_seconds": -3600},
        {"kind": "delay_frames", "fired": 3, "seconds": 5, "how_often": "always"},
    ],
    "spent": [{"kind": "lock_fails", "fired": 1, "connector_id": 1}],
}
ARMED_FIELDS = tuple(
    Field(
        name=name,
        type="array",
        required=True,
        items=Field(type="object"),
        description=f"{what}, each with its event and `fired`: how often it has happened.",
    )
    for name, what in (("armed", "What is armed"), ("spent", "What was armed once and has happened"))
)


@action(
    Field(
        name="kind",
        type="string",
        required=True,
        choices=tuple(kind.name for kind in KINDS),
        description="What the charger does wrong; each kind has fields of its own.",
    ),
    *FIELDS.values(),
    variants=KINDS,
    example=KINDS[0].example,
)
def misbehave(charger: Charger, event: Event) -> Result:
    """The charger does something wrong on purpose, for a test of its CSMS.

    It lasts until it has happened, its time is over, or all is switched off; also over a reconnect, a Reset and a
    power cut, and not over a restart of the charger. The log has a remark each time. Up to 20 are armed at once.
    """
    fields = {name: value for name, value in event.items() if name != "kind"}
    refusal = charger.misbehaviour.arm(event["kind"], fields)
    if refusal:
        raise Rejected(refusal)
    return charger.misbehaviour.describe()


@action(
    path="misbehave",
    method="GET",
    answer="result",
    result_fields=ARMED_FIELDS,
    result_example=ARMED,
)
def get_misbehaviour(charger: Charger, _: Event) -> Result:
    """What is armed at a charger, and how often it has happened."""
    return charger.misbehaviour.describe()


@action(
    Field(
        name="kind",
        type="string",
        nullable=True,
        choices=tuple(kind.name for kind in KINDS),
        description="Only what is of this kind; null: all.",
    ),
    path="misbehave",
    method="DELETE",
    answer="result",
    result_fields=(Field(name="stopped", type="integer", required=True, description="How many were armed."),),
    result_example={"stopped": 2},
)
def stop_misbehaving(charger: Charger, event: Event) -> Result:
    """All misbehaviour ends, or that of one kind: the link, the power and the right time come back at once."""
    return {"stopped": charger.misbehaviour.stop(event.get("kind"))}
