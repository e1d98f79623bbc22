"""Finds chargers by their id or identity."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from chargehand.client.failures import Refused
from chargehand.client.http import Client, Row, segment

MAX_REQUESTS = 16  # at the same time


def find_chargers(client: Client, names: Sequence[str]) -> list[Row]:
    """The chargers of the names, without repeats, in their order. Raises Refused with all names that are missing."""
    with ThreadPoolExecutor(min(MAX_REQUESTS, len(names) or 1)) as threads:
        found = list(threads.map(lambda name: find_charger(client, name), names))
    missing = [name for name, charger in zip(names, found, strict=True) if charger is None]
    if missing:
        raise Refused(f"no charger has the id or identity {' or '.join(missing)}", 404)
    return list({charger["id"]: charger for charger in found if charger is not None}.values())


def with_details(client: Client, chargers: Sequence[Row]) -> list[Row]:
    """The chargers with what lists do not have: their connectors, control link and settings. Raises Failure."""
    with ThreadPoolExecutor(min(MAX_REQUESTS, len(chargers) or 1)) as threads:
        return list(
            threads.map(lambda charger: client.get(f"/ocpp/chargers/{segment(charger['id'])}"), chargers)
        )


def find_charger(client: Client, name: str) -> Row | None:
    """The charger with that id, else with that identity; None if there is none. Raises Failure."""
    if name.startswith("dep-"):
        try:
            charger: Row = client.get(f"/ocpp/chargers/{segment(name)}")
        except Refused as error:
            if error.status != 404:
                raise
        else:
            return charger
    return next(client.chargers(1, identity=name), None)
