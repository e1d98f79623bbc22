"""Plans and creates fleets: a location, and a job that creates its chargers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from chargehand.client.creating import choose_model, version_of
from chargehand.client.failures import Failure
from chargehand.client.http import Client, Row
from chargehand.client.locations import location_path

DEFAULT_COUNT = 10
MAX_COUNT = 10_000  # of a job
#: A simulated site is nowhere in particular.
NOWHERE: Row = {
    "address": "simulated",
    "city": "simulated",
    "country": "DE",
    "coordinates": {"latitude": 0.0, "longitude": 0.0},
}


@dataclass(frozen=True)
class Plan:
    """What a fleet is to be. What is None is chosen: by the template if there is one, else as for a single charger."""

    name: str | None = None
    count: int | None = None
    template: str | None = None  #: the slug of a location template
    prefix: str | None = None  #: of the identities, which are numbered
    ws_url: str | None = None
    brand_slug: str | None = None
    model_slug: str | None = None
    connector_type: str | None = None
    ocpp_version: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)  #: of the location and of each charger
    ttl_s: int | None = None
    placement: str | None = None  #: dedicated or shared; the server's default for None
    rate: float | None = None  #: chargers per second


@dataclass(frozen=True)
class NewFleet:
    """A location whose chargers are requested with one job."""

    location: Row
    job_id: str
    identities: Sequence[str]


def create_fleet(client: Client, plan: Plan) -> NewFleet:
    """Request the location, then its chargers with one job. If that fails, the location is deleted again. Raises Failure."""
    if plan.count is not None and not 1 <= plan.count <= MAX_COUNT:
        raise Failure(f"a fleet has 1 to {MAX_COUNT} chargers, not {plan.count}")
    ws_url = plan.ws_url or client.stack.csms_url
    if not ws_url:
        raise Failure("no CSMS is known: say which with --ws-url, or set CHARGEHAND_CSMS_URL")
    site = _template(client, plan.template) if plan.template else {}
    mark = uuid4().hex[:6]
    groups = _groups(client, plan, site, {"ws_url": ws_url, "identity_prefix": plan.prefix or f"F-{mark}-"})
    location = _create_location(client, plan, site, plan.name or f"fleet-{mark}")
    path = f"{location_path(location['id'])}/chargers"
    try:
        accepted = client.post(path, uuid4().hex, groups, rate_per_second=plan.rate)[1]
    except (Failure, KeyboardInterrupt) as end:
        _undo(client, location, end)
        raise
    identities = [
        group["template"]["identity_prefix"] + suffix for group in groups for suffix in group["charger_ids"]
    ]
    return NewFleet(location, accepted["job_id"], identities)


def _undo(client: Client, location: Row, end: BaseException) -> None:
    """Delete the location. Raises Failure, with how to do it later, if that fails too."""
    try:
        client.delete(location_path(location["id"]))
    except Failure:
        later = f"The location {location['name']} may remain: chargehand fleet down {location['id']}"
        raise Failure(f"{end or 'interrupted'}\n{later}") from end


def _template(client: Client, slug: str) -> Row:
    rows: list[Row] = client.get("/ocpp/templates/locations")["data"]
    for row in rows:
        if row["slug"] == slug:
            return row
    raise Failure(f"there is no template {slug}; the templates are {', '.join(row['slug'] for row in rows)}")


def _create_location(client: Client, plan: Plan, site: Row, name: str) -> Row:
    body = {**NOWHERE, "name": name}
    if site.get("country"):
        body["country"] = site["country"]
    if plan.labels:
        body["labels"] = dict(plan.labels)
    if plan.ttl_s is not None:
        body["ttl_seconds"] = plan.ttl_s
    location: Row = client.post("/ocpp/locations", uuid4().hex, body)[1]
    return location


def _groups(client: Client, plan: Plan, site: Row, common: Row) -> list[Row]:
    """A group for each kind of charger, with identities that are numbered over all groups."""
    version = version_of(plan.ocpp_version) if plan.ocpp_version else None
    if site:
        kinds = [
            {
                **{name: kind[name] for name in ("brand_slug", "model_slug", "connector_type")},
                "ocpp_version": version or kind["ocpp_version"],
            }
            for kind in site["chargers"]
        ]
        counts = spread([kind["count"] for kind in site["chargers"]], plan.count)
    else:
        chosen = choose_model(client, plan.brand_slug, plan.model_slug, plan.connector_type)
        kinds = [chosen | ({"ocpp_version": version} if version else {})]
        counts = [plan.count or DEFAULT_COUNT]
    if plan.labels:
        common = {**common, "labels": dict(plan.labels)}
    if plan.placement is not None:
        common = {**common, "placement": plan.placement}
    groups, number, width = [], 0, len(str(sum(counts)))
    for kind, count in zip(kinds, counts, strict=True):
        if count:
            suffixes = [str(number + one).zfill(width) for one in range(1, count + 1)]
            groups.append({"template": {**kind, **common}, "charger_ids": suffixes})
        number += count
    return groups


def spread(counts: Sequence[int], total: int | None) -> list[int]:
    """The counts in the same proportion, with that sum; as they are for None."""
    if total is None:
        return list(counts)
    exact = [count * total / sum(counts) for count in counts]
    whole = [int(each) for each in exact]
    by_rest = sorted(range(len(counts)), key=lambda at: whole[at] - exact[at])
    for at in by_rest[: total - sum(whole)]:
        whole[at] += 1
    return whole
