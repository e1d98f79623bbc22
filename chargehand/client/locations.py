"""Locations: finds them by their id, slug or name."""

import time
from collections.abc import Sequence

from chargehand.client.failures import Failure, Refused, TimeIsUp
from chargehand.client.http import Client, Row, segment

POLL_S = 0.5
NOT_AN_ID = frozenset({404, 422})


def find_locations(client: Client, names: Sequence[str]) -> list[Row]:
    """The locations of the names, without repeats, in their order. Raises Refused with all names that are missing."""
    found = {name: find_location(client, name) for name in names}
    missing = [name for name, location in found.items() if location is None]
    if missing:
        raise Refused(f"no location has the id, slug or name {' or '.join(missing)}", 404)
    return list({row["id"]: row for row in found.values() if row is not None}.values())


def get_location(client: Client, name: str) -> Row:
    """The location with that id, slug or name. Raises Refused."""
    return find_locations(client, [name])[0]


def id_of_location(client: Client, name: str) -> str:
    """The id of the location with that id, slug or name. Raises Refused."""
    location_id: str = get_location(client, name)["id"]
    return location_id


def find_location(client: Client, name: str) -> Row | None:
    """The location with that id, else with that slug or name; None if there is none. Raises Failure if several have the name."""
    try:
        location: Row = client.get(location_path(name))
    except Refused as error:
        if error.status not in NOT_AN_ID:
            raise
    else:
        return location
    found = [row for row in client.rows("/ocpp/locations") if name in (row["slug"], row["name"])]
    by_slug = [row for row in found if row["slug"] == name]
    if len(found) > 1 and not by_slug:
        raise Failure(
            f"{len(found)} locations have the name {name}: use an id: {', '.join(row['id'] for row in found)}"
        )
    return next(iter(by_slug or found), None)


def delete_locations(client: Client, rows: Sequence[Row], timeout_s: float | None) -> None:
    """Delete the locations, and wait until their chargers are deleted too, so that their identities are free; None does not wait.

    Raises TimeIsUp, which a repeat does not heal: workers delete the chargers as soon as they can.
    """
    for row in rows:
        client.delete(location_path(row["id"]))
    if timeout_s is None:
        return
    deadline = time.monotonic() + timeout_s
    for row in rows:
        while left := number_of_chargers(client, row["id"]):
            if time.monotonic() >= deadline:
                raise TimeIsUp(f"{row['name']} is deleted; {left} of its chargers still have to be")
            time.sleep(POLL_S)


def number_of_chargers(client: Client, location_id: str) -> int:
    """How many chargers the location has; those of a deleted location still have to be deleted."""
    number: int = client.get("/ocpp/chargers/summary", location_id=location_id)["total"]
    return number


def location_path(location_id: str) -> str:
    return f"/ocpp/locations/{segment(location_id)}"
