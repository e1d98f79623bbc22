"""What clients of organizations do, and the rows that workers would write."""

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import String, cast, func, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as insert_or_leave

from shared.database.engine import Sessions
from shared.ids import new_host_id
from shared.models import Charger, ChargerLink, Command, Host, Location
from shared.vocabulary import CommandStatus, ProvisioningStatus
from tests.support.environment import Token
from tests.support.links import TASK, line, read_lines

NEW_CHARGER = {
    "identity": "CP-TEST-001",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ws_url": "ws://csms.test/ocpp",
}
NEW_LOCATION = {
    "name": "La Défense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "coordinates": {"latitude": 48.8566, "longitude": 2.3522},
}
#: The body that creates a charger at a location.
GROUPS = [
    {
        "template": {name: value for name, value in NEW_CHARGER.items() if name != "identity"},
        "charger_ids": ["CP-1"],
    }
]


@dataclass
class Fleet:
    """What clients of organizations do, and the rows that workers would write."""

    client: FlaskClient
    sessions: Sessions
    token: Token

    def headers(self, organization: str = "acme", **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(organization=organization, **claims)}"}

    def request(
        self, method: str, path: str, *, organization: str = "acme", headers: Any = (), **kwargs: Any
    ) -> Any:
        """Send it as a user of the organization. Returns werkzeug's TestResponse, untyped."""
        return self.client.open(
            path, method=method, headers=self.headers(organization) | dict(headers), **kwargs
        )

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Any:
        return self.request("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Any:
        return self.request("PUT", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Any:
        return self.request("DELETE", path, **kwargs)

    def create(self, organization: str = "acme", **fields: Any) -> str:
        """Create a charger as a client does, and its location if there is none with that id. Returns the charger's id."""
        if fields.get("location_id") is not None:
            self.place(fields["location_id"], organization)
        answer = self.post("/ocpp/chargers", organization=organization, json=NEW_CHARGER | fields)
        assert answer.status_code == 202, answer.text
        charger_id: str = answer.json["charger_id"]
        return charger_id

    def place(self, location_id: str, organization: str = "acme") -> None:
        """Store a location with this id, unless there is one."""
        with self.sessions.begin() as session:
            new = {"organization_id": organization, "id": location_id, "name": location_id}
            session.execute(insert_or_leave(Location).values(new).on_conflict_do_nothing())

    def locate(self, organization: str = "acme", **fields: Any) -> str:
        """Create a location as a client does. Returns its id."""
        answer = self.post("/ocpp/locations", organization=organization, json=NEW_LOCATION | fields)
        assert answer.status_code == 201, answer.text
        location_id: str = answer.json["id"]
        return location_id

    def host(self, organization: str = "acme", **other: Any) -> str:
        """Store a host, as a worker does. Returns its id."""
        host_id = new_host_id()
        with self.sessions.begin() as session:
            session.add(Host(id=host_id, **({"organization_id": organization, "capacity": 1_000} | other)))
        return host_id

    def set_host(self, charger_id: str, host_id: str) -> None:
        """Place the charger, as a worker does."""
        with self.sessions.begin() as session:
            session.execute(update(Charger).where(Charger.id == charger_id).values(host_id=host_id))

    def ready(self, organization: str = "acme", **fields: Any) -> str:
        """A charger that was provisioned, runs, and was observed to run."""
        charger_id = self.create(organization, **fields)
        self.settle(charger_id, running_count=1, provisioning_status=ProvisioningStatus.READY)
        return charger_id

    def multiply(self, charger_id: str, count: int, *, prefix: str = "MORE") -> None:
        """Copy the charger `count` times, with other ids and identities."""
        kept = [column for column in Charger.__table__.c if column.server_onupdate is None]
        for first in range(1, count + 1, 2000):  # a statement may take 10 s
            last = min(first + 1999, count)
            numbers = func.generate_series(first, last).table_valued("value").render_derived("numbers")
            number = cast(numbers.c.value, String)
            new = {
                "id": f"dep-{prefix.lower()}-" + func.lpad(number, 8, "0"),
                "identity": f"{prefix}-" + number,
                "newest_command_id": func.gen_random_uuid(),
            }
            copies = (
                select(*(new.get(column.name, column) for column in kept))
                .join_from(Charger, numbers, true())
                .where(Charger.id == charger_id)
            )
            of_copies = (
                select(
                    new["id"], *(column for column in ChargerLink.__table__.c if column.name != "charger_id")
                )
                .join_from(ChargerLink, numbers, true())
                .where(ChargerLink.charger_id == charger_id)
            )
            with self.sessions.begin() as session:
                session.execute(insert(Charger).from_select([column.name for column in kept], copies))
                session.execute(insert(ChargerLink).from_select([*ChargerLink.__table__.c.keys()], of_copies))

    def settle(self, charger_id: str, **observed: Any) -> None:
        """Write what workers write when ECS has reached the desired state."""
        with self.sessions.begin() as session:
            session.execute(
                update(Charger)
                .where(Charger.id == charger_id)
                .values(
                    {
                        "observed_generation": Charger.generation,
                        "settled_generation": Charger.generation,
                        "publish_at": None,
                        "observe_at": None,
                        "observed_at": func.now(),
                        "service_status": "ACTIVE",
                    }
                    | observed
                )
            )

    def link(self, charger_id: str, state: str, task: str = TASK, **other: Any) -> None:
        """Read a line of its task's log."""
        read_lines(self.sessions, line(charger_id, state, task=task, **other))

    def finish(
        self, charger_id: str, status: CommandStatus = CommandStatus.SUCCEEDED, error: Any = None
    ) -> None:
        """Write what workers write when the newest command is final, and with it a provisioning."""
        with self.sessions.begin() as session:
            charger = session.get_one(Charger, charger_id, with_for_update=True)
            charger.observed_generation = charger.settled_generation = charger.generation
            charger.publish_at = None
            if charger.provisioning_status != ProvisioningStatus.READY:
                failed = status == CommandStatus.FAILED
                charger.provisioning_status = (
                    ProvisioningStatus.FAILED if failed else ProvisioningStatus.READY
                )
                charger.error = error
            command = session.get_one(Command, charger.newest_command_id)
            command.status, command.error, command.finished_at = status, error, func.now()

    def row(self, charger_id: str) -> Charger:
        with self.sessions() as session:
            return session.get_one(Charger, charger_id)

    def commands(self, charger_id: str) -> list[Command]:
        with self.sessions() as session:
            return list(
                session.query(Command).where(Command.charger_id == charger_id).order_by(Command.generation)
            )
