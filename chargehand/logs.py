"""`chargehand chargers logs`: shows OCPP frames, remarks or connection events, the newest last."""

import json
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import click

from chargehand.options import as_json, charger_names, connect
from chargehand.output import note, print_json, print_json_line, printable

if TYPE_CHECKING:
    from chargehand.client.http import Client, Row

ARROWS = {"cp_to_csms": "→", "csms_to_cp": "←"}
DIRECTIONS = {"to-csms": "cp_to_csms", "from-csms": "csms_to_cp"}
KINDS = ("frame", "remark", "connection")
NOTHING = {None: "No frames", "remark": "No remarks", "connection": "No connection events"}
POLL_S = 1.0
WIDTH = 160  # columns, without a terminal


@click.command()
@charger_names
@click.option("--follow", "-f", is_flag=True, help="Show new frames until Ctrl-C (exit status 130).")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="How many of the newest.",
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default=KINDS[0],
    show_default=True,
    help="OCPP messages, what the charger could not do or accept, or the changes of its link.",
)
@click.option("--event", help="One OCPP action only, such as BootNotification.")
@click.option("--direction", type=click.Choice(tuple(DIRECTIONS)), help="Frames to or from the CSMS only.")
@click.option("--text", help="Only lines whose message has this text, in any case of letters.")
@click.option(
    "--errors", is_flag=True, help="CALLERRORs, remarks of errors, rejected and lost connections only."
)
@click.option("--full", is_flag=True, help="Show whole payloads.")
@as_json
def logs(
    *,
    names: tuple[str, ...],
    follow: bool,
    limit: int,
    kind: str,
    event: str | None,
    direction: str | None,
    text: str | None,
    errors: bool,
    full: bool,
    as_json: bool,
) -> None:
    """Show the frames that chargers exchanged with their CSMS: → is to it, ← from it. Or other lines of their logs.

    --json prints a list; with --follow, a line of JSON for each frame.
    """
    from chargehand.client.finding import find_chargers

    if kind != KINDS[0] and (event or direction):
        option = "--event" if event else "--direction"
        raise click.UsageError(f"only frames have that: leave out {option} or --kind")
    if not names:
        raise click.UsageError("name chargers by their id or identity")
    with connect() as client:
        chargers = {row["id"]: row["identity"] for row in find_chargers(client, names)}
        style = Style(as_json=as_json, with_identity=len(names) > 1, full=full)
        given = {
            "direction": DIRECTIONS.get(direction or ""),
            "q": text,
            "errors": "true" if errors else None,
        }
        filters = {name: value for name, value in given.items() if value}
        wanted = Selection(limit, None if kind == KINDS[0] else kind, event, filters)
        if follow:
            follow_frames(client, chargers, wanted, style)
        else:
            print_newest(client, chargers, wanted, style)


@dataclass(frozen=True)
class Selection:
    """Which lines of a log."""

    limit: int  #: how many of the newest
    kind: str | None  #: None are frames: an API of an earlier release knows no kinds
    event: str | None
    filters: dict[str, str]  #: more parameters of the API


@dataclass(frozen=True)
class Style:
    """How frames are printed."""

    as_json: bool
    with_identity: bool
    full: bool  #: payloads are not cut


def print_newest(client: "Client", chargers: dict[str, str], wanted: Selection, style: Style) -> None:
    """Print what is wanted of each charger, in the order of time. `chargers` has the identity of each id."""
    from chargehand.client.frames import newest_frames

    found = [
        frame
        for charger_id, identity in chargers.items()
        for frame in with_identity(
            identity,
            newest_frames(
                client, charger_id, wanted.limit, wanted.event, wanted.kind, filters=wanted.filters
            ),
        )
    ]
    if style.as_json:
        print_json(sorted(found, key=instant_of))
        return
    print_frames(found, style)
    if not found:
        nothing = "Nothing matches" if wanted.event or wanted.filters else NOTHING[wanted.kind]
        note(f"{nothing}: --follow waits for new ones.")


def follow_frames(client: "Client", chargers: dict[str, str], wanted: Selection, style: Style) -> NoReturn:
    """Print the newest frames, then new ones, until Ctrl-C."""
    from chargehand.client.frames import Follower

    followers = [
        (identity, Follower(client, id_, wanted.event, wanted.kind, filters=wanted.filters))
        for id_, identity in chargers.items()
    ]
    frames = [
        frame for identity, one in followers for frame in with_identity(identity, one.first(wanted.limit))
    ]
    while True:
        print_frames(frames, style)
        time.sleep(POLL_S)
        frames = [frame for identity, one in followers for frame in with_identity(identity, one.next())]


def with_identity(identity: str, frames: "list[Row]") -> "list[Row]":
    """The frames with the identity of their charger."""
    return [{"identity": identity, **frame} for frame in frames]


def print_frames(frames: "list[Row]", style: Style) -> None:
    """Print the frames, a line each, in the order of time."""
    for frame in sorted(frames, key=instant_of):
        if style.as_json:
            print_json_line(frame)
        else:
            click.echo(line_of(frame, name=style.with_identity, full=style.full))


def instant_of(frame: "Row") -> datetime:
    """When the frame was sent. As text, a whole second would sort after its fractions."""
    return datetime.fromisoformat(frame["timestamp"])


def line_of(frame: "Row", *, name: bool, full: bool) -> str:
    """The frame as a line, `12:00:00.123 CP-1 → BootNotification {...}`, or the remark or connection event."""
    time_of_day = frame["timestamp"].partition("T")[2].removesuffix("Z")
    when = f"{time_of_day.partition('.')[0]}.{time_of_day.partition('.')[2][:3]:0<3}"
    words = [when, *([frame["identity"]] if name else []), *words_of(frame)]
    line = printable(" ".join(words))
    width = shutil.get_terminal_size((WIDTH, 0)).columns if sys.stdout.isatty() else WIDTH
    return line if full or len(line) <= width else f"{line[: width - 1]}…"


def words_of(frame: "Row") -> list[str]:
    """What the line says besides its time and charger."""
    if "action" in frame:
        return [ARROWS.get(frame["direction"], "?"), frame["action"], payload_of(frame)]
    return [word for name in ("level", "state", "reason", "message") if (word := frame.get(name))]


def payload_of(frame: "Row") -> str:
    """The payload of the frame, without its type, id and action."""
    try:
        content = json.loads(frame["message"] or "")
    except ValueError:
        return frame["message"] or ""
    if not isinstance(content, list) or not content:
        return str(frame["message"])
    first = {2: 3, 3: 2, 4: 2}.get(content[0], 0)  # CALL, CALLRESULT, CALLERROR
    rest = content[first:]
    return json.dumps(rest[0] if len(rest) == 1 else rest, ensure_ascii=False, separators=(",", ":"))
