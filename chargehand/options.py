"""The options that several commands share, and the queries that they become."""

import re
import sys
from collections.abc import Callable, Sequence
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from chargehand.client.http import Client, Row

Command = TypeVar("Command", bound=Callable[..., Any])
Query = dict[str, Any]

SECONDS_OF_UNIT = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
COMPLETE_WITHIN_S = 1.0
MAX_COMPLETIONS = 50


def read_pairs(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> dict[str, str] | None:
    """The pairs of options such as `--set KEY=VALUE`; None if there are none. Raises BadParameter."""
    pairs = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{text} is not KEY=VALUE")
        pairs[key] = value
    return pairs or None


def read_label_filter(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> str | None:
    """The filter of the API: `run:1234,smoke` for `--label run=1234 --label smoke`; None for none."""
    return ",".join(text.replace("=", ":", 1) for text in texts) or None


def complete_locations(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names and slugs that begin with the text; none if the API does not answer within COMPLETE_WITHIN_S."""
    from chargehand.client.failures import Failure
    from chargehand.client.http import Client
    from chargehand.client.stack import find_stack

    try:
        with Client(find_stack(), tries=1, timeout_s=COMPLETE_WITHIN_S) as client:
            rows = list(client.rows("/ocpp/locations", MAX_COMPLETIONS))
    except Failure:
        return []
    words = [word for row in rows for word in (row["name"], row["slug"]) if word and " " not in word]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


labels_option = click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", callback=read_pairs,
    help="A label, to find it by. Can be repeated.",
)  # fmt: skip
label_filter = click.option(
    "--label", "labels", multiple=True, metavar="NAME[=VALUE]", callback=read_label_filter,
    help="Has this label. Several: has all of them.",
)  # fmt: skip
placement_option = click.option(
    "--placement", type=click.Choice(["dedicated", "shared"]),
    help="An ECS service for each, or hosts, whose tasks run many.  [default: the server's DEFAULT_PLACEMENT]",
)  # fmt: skip

FILTERS = {
    "status": click.option("--status", help="Provisioning: PENDING, PROVISIONING, READY, FAILED."),
    "observed": click.option("--observed", help="What runs: running, stopped, starting, stopping, unknown."),
    "ocpp_state": click.option(
        "--ocpp-state", help="The link: disconnected, connecting, connected, accepted, rejected."
    ),
    "ocpp_version": click.option("--ocpp-version", help="OCPP1.6 or OCPP2.0.1; 1.6 is short for OCPP1.6."),
    "attention": click.option(
        "--attention", flag_value="true", default=None, help="Only those that need attention."
    ),
    "brand_slug": click.option("--brand", "brand_slug", help="A brand of `chargehand catalog`."),
    "model_slug": click.option("--model", "model_slug", help="A model of `chargehand catalog`."),
    "location_id": click.option(
        "--location",
        "location_id",
        shell_complete=complete_locations,
        help="The id, slug or name of a location.",
    ),
    "placement": click.option("--placement", help="dedicated, or shared: on a host."),
    "host_id": click.option("--host", "host_id", help="The id of a host."),
    "labels": label_filter,
    "q": click.option("--search", "q", help="A part of the identity or name."),
}


class Number(click.FloatRange):
    """A number within bounds. NaN is none, though it is outside no bound."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


class Duration(click.ParamType[int]):
    """A time span in whole seconds: `90`, `90s`, `15m`, `1h`, `2d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9})([smhd]?)", value.strip().lower())
        if found is None:
            self.fail(f"{value} is not a time span such as 90s, 15m, 1h or 2d", param, ctx)
        return int(found[1]) * SECONDS_OF_UNIT[found[2]]


class Coordinates(click.ParamType[Any]):
    """`48.8566,2.3522`: latitude and longitude in decimal degrees."""

    name = "latitude,longitude"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, dict):
            return value
        try:
            latitude, longitude = map(float, value.split(","))
        except ValueError:
            latitude = longitude = nan
        if not (isfinite(latitude) and isfinite(longitude)):
            self.fail(f"{value} is not LATITUDE,LONGITUDE, as in 48.8566,2.3522", param, ctx)
        return {"latitude": latitude, "longitude": longitude}


def connect() -> "Client":
    """A client of the stack of the environment, else of the state folder. Raises Failure."""
    from chargehand.client.http import Client
    from chargehand.client.stack import find_stack

    return Client(find_stack())


def complete_chargers(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Identities that begin with the text; none if the API does not answer within COMPLETE_WITHIN_S."""
    from chargehand.client.failures import Failure
    from chargehand.client.http import Client
    from chargehand.client.stack import find_stack

    try:
        with Client(find_stack(), tries=1, timeout_s=COMPLETE_WITHIN_S) as client:
            rows = list(client.chargers(MAX_COMPLETIONS, q=incomplete or None))
    except Failure:
        return []
    identities = (row["identity"] for row in rows)
    return [CompletionItem(identity) for identity in identities if identity.startswith(incomplete)]


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
ids_only = click.option("--quiet", "-q", is_flag=True, help="Print ids only, and no progress.")
charger_names = click.argument("names", nargs=-1, metavar="CHARGER...", shell_complete=complete_chargers)
assume_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask for a confirmation.")


def filters(command: Command) -> Command:
    """Adds the filters of `GET /ocpp/chargers`, for `query_of`. The first four take several values, with commas."""
    return filters_without()(command)


def filters_without(*left_out: str) -> Callable[[Command], Command]:
    """Adds the filters but those of these parameters."""

    def decorate(command: Command) -> Command:
        for name, option in reversed(FILTERS.items()):
            if name not in left_out:
                command = option(command)
        return command

    return decorate


def query_of(given: dict[str, Any]) -> Query:
    """The query of the filters that are set."""
    from chargehand.client.creating import version_of

    query = {name: value for name, value in given.items() if name in FILTERS and value is not None}
    if "ocpp_version" in query:
        query["ocpp_version"] = ",".join(version_of(word) for word in query["ocpp_version"].split(","))
    return query


def query_at(client: "Client", given: dict[str, Any]) -> Query:
    """The query of the filters that are set, with the id of the location that is named. Raises Failure."""
    from chargehand.client.locations import id_of_location

    query = query_of(given)
    if "location_id" in query:
        query["location_id"] = id_of_location(client, query["location_id"])
    return query


def selection(command: Command) -> Command:
    """Adds the options that select chargers: names, or `--all` with filters."""
    command = assume_yes(filters(command))
    command = click.option("--all", "all_", is_flag=True, help="All chargers that match the filters.")(
        command
    )
    return charger_names(command)


def selected(
    client: "Client", names: Sequence[str], given: dict[str, Any], *, verb: str, confirm: bool = False
) -> "list[Row]":
    """The chargers of the names, or all that match the filters. Raises UsageError, Failure, or Abort.

    On a terminal `--all` needs a confirmation; with `confirm`, names need it too.
    """
    from chargehand.client.finding import find_chargers

    query = query_at(client, given)
    if names and (given["all_"] or query):
        raise click.UsageError("name chargers, or use --all and filters, not both")
    if not names and not given["all_"]:
        raise click.UsageError("name chargers by their id or identity, or use --all")
    if given["all_"] and not query and not given["yes"] and not on_a_terminal():
        raise click.UsageError("--all without a filter needs --yes")
    chargers = find_chargers(client, names) if names else list(client.chargers(**query))
    if chargers and not given["yes"] and on_a_terminal() and (confirm or given["all_"]):
        what = chargers[0]["identity"] if len(chargers) == 1 else f"{len(chargers)} chargers"
        click.confirm(f"{verb} {what}?", abort=True, err=True)
    return chargers


def on_a_terminal() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()
