"""A fleet of a running stack, for tests of a CSMS."""

from collections.abc import Iterator, Sequence

from chargehand.client.charger import Charger
from chargehand.client.fleet_plan import NewFleet
from chargehand.client.http import Client, Row
from chargehand.client.jobs import raise_for_job, request_job, wait_for_job
from chargehand.client.locations import delete_locations, location_path
from chargehand.client.standing import Standing, all_others, raise_for_standing, standing_of, wait_for_fleet

WITHIN_S = 120.0


class Fleet:
    """A location and its chargers. The methods raise Failure as those of Charger do."""

    def __init__(self, client: Client, made: NewFleet) -> None:
        self._client = client
        self._made = made
        self.id: str = made.location["id"]  #: of the location
        self.name: str = made.location["name"]
        self.identities: Sequence[str] = made.identities

    def __repr__(self) -> str:
        return f"<Fleet {self.name} of {len(self)} ({self.id})>"

    def __len__(self) -> int:
        return len(self.identities)

    def __iter__(self) -> Iterator[Charger]:
        return iter(self.chargers())

    def chargers(self) -> list[Charger]:
        """Its chargers, by identity."""
        rows = self._client.chargers(location_id=self.id, sort="identity")
        return [Charger(self._client, row["id"], row["identity"]) for row in rows]

    def get(self) -> Row:
        """The location as the API shows it now."""
        location: Row = self._client.get(self._path)
        return location

    def standing(self) -> Standing:
        """How many chargers there are, and how many of them the CSMS has accepted."""
        return standing_of(self._client, self.id, self._made.job_id)

    def wait_until_accepted(self, *, share: float = 1.0, within_s: float = WITHIN_S) -> None:
        """Wait until the CSMS has accepted that share of the chargers. The error names those that it has not."""
        job_id = self._made.job_id
        standing = wait_for_fleet(self._client, self.id, share=share, timeout_s=within_s, job_id=job_id)
        if not standing.has(share):
            raise_for_standing(standing, all_others(self._client, standing, job_id), share, within_s)

    def start(self, *, rate: float | None = None, within_s: float = WITHIN_S) -> None:
        """Start all, `rate` per second, and wait until they run."""
        self._do("start", rate, within_s)

    def stop(self, *, rate: float | None = None, within_s: float = WITHIN_S) -> None:
        """Stop all, `rate` per second, and wait until they have stopped."""
        self._do("stop", rate, within_s)

    def restart(self, *, rate: float | None = None, within_s: float = WITHIN_S) -> None:
        """Restart all, `rate` per second, and wait until new processes run. Stopped chargers start."""
        self._do("reset", rate, within_s)

    def report(self, format_: str = "json") -> str:
        """The report of the location, as json, csv, junit or html."""
        return self._client.text(f"{self._path}/report", format=format_)

    def delete(self, *, within_s: float = WITHIN_S) -> None:
        """Delete it, and wait until its chargers are deleted. Their processes end shortly afterwards. Safe to repeat."""
        delete_locations(self._client, [self._made.location], within_s)

    def _do(self, verb: str, rate: float | None, within_s: float) -> None:
        client = self._client.within(within_s)
        job = request_job(client, f"{self._path}/{verb}-chargers", {}, rate=rate)
        raise_for_job(client, wait_for_job(client, job, within_s, lambda _: None))

    @property
    def _path(self) -> str:
        return location_path(self.id)
