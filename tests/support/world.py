"""The rows, a fake ECS, and short methods for what clients, workers and time do."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update

from shared.database.engine import Sessions
from shared.fleet import chargers, commands
from shared.fleet.locking import lock_chargers
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger, Command
from shared.sealing import Sealer
from shared.settings import Timing
from shared.vocabulary import CommandStatus, EventType, Placement
from tests.support.environment import ENCRYPTION_KEY
from tests.support.fake_ecs import FakeEcs
from worker.hosts.hints import Hints
from worker.hosts.hosting import Hosting
from worker.observe.observe import observe
from worker.reconcile.converge import converge

ORGANIZATION = "acme"
HOSTING = Hosting(capacity=3, hints=Hints(""))  # small hosts, and the link looks by itself


@dataclass
class World:
    """The rows, a fake ECS, and short methods for what clients, workers and time do."""

    sessions: Sessions
    ecs: FakeEcs
    timing: Timing

    # Clients.

    def create(
        self,
        identity: str = "CP-1",
        placement: Placement = Placement.DEDICATED,
        organization: str = ORGANIZATION,
    ) -> str:
        with self.sessions.begin() as session:
            new = chargers.NewCharger(
                identity=identity,
                brand_slug="wallbox",
                model_slug="wallbox-pulsar-plus",
                connector_type="Type2",
                ws_url="ws://csms.test/ocpp",
                placement=placement,
            )
            request = chargers.CreateRequest(new, organization, requested_by="tester", request_id="request-1")
            receipt = chargers.create_charger(
                session, request, max_chargers=1_000_000, sealer=Sealer((ENCRYPTION_KEY,))
            )
            return receipt.charger_id

    def ready(self, identity: str = "CP-1") -> str:
        """A charger that is up and READY."""
        charger_id = self.create(identity)
        self.work(charger_id)
        assert self.charger(charger_id).provisioning_status == "READY"
        return charger_id

    def start(self, charger_id: str, organization: str = ORGANIZATION) -> CommandReceipt:
        return self._record(EventType.START_CHARGER, charger_id, organization)

    def stop(self, charger_id: str, organization: str = ORGANIZATION) -> CommandReceipt:
        return self._record(EventType.STOP_CHARGER, charger_id, organization)

    def restart(self, charger_id: str, organization: str = ORGANIZATION) -> CommandReceipt:
        return self._record(EventType.RESET_CHARGER, charger_id, organization)

    def delete(self, charger_id: str, organization: str = ORGANIZATION) -> CommandReceipt:
        with self.sessions.begin() as session:
            request = chargers.DeleteRequest(charger_id, organization, requested_by="tester", request_id=None)
            return chargers.delete_charger(session, request)

    def update(self, charger_id: str, **changes: Any) -> CommandReceipt:
        with self.sessions.begin() as session:
            request = chargers.UpdateRequest(
                charger_id,
                chargers.ChargerChanges(**changes),
                ORGANIZATION,
                requested_by="tester",
                request_id=None,
            )
            _, receipt = chargers.update_charger(session, request, sealer=Sealer((ENCRYPTION_KEY,)))
        return receipt

    # Workers.

    def converge(self, charger_id: str) -> None:
        converge(self.sessions, self.ecs, self.timing, charger_id, HOSTING)

    def observe(self) -> int:
        """Observe every charger now, and once more when its task has run for a while. Returns how many have drifted."""
        drifted = self.observe_once()
        self.a_while_passes()
        return drifted + self.observe_once()

    def observe_once(self) -> int:
        with self.sessions.begin() as session:
            lock_chargers(session, session.scalars(select(Charger.id)).all())  # other threads may change them
            session.execute(
                update(Charger).where(Charger.observe_at.is_not(None)).values(observe_at=func.now())
            )
        return observe(self.sessions, self.ecs, self.timing)

    def work(self, charger_id: str) -> None:
        """Deliver a message, let ECS reach the desired count, and observe."""
        self.converge(charger_id)
        self.ecs.settle()
        self.observe()

    # Time.

    def wait_is_over(self, charger_id: str) -> None:
        """End the charger's delay."""
        with self.sessions.begin() as session:
            session.execute(
                update(Charger)
                .where(Charger.id == charger_id)
                .values(not_before=None, publish_at=func.now() - timedelta(seconds=1))
            )

    def a_while_passes(self) -> None:
        """Move what was observed and applied so far back that no answer of ECS can be older."""
        ago = timedelta(seconds=self.timing.settle_s)
        with self.sessions.begin() as session:
            moved = {name: getattr(Charger, name) - ago for name in ("running_since", "rollout_at")}
            session.execute(update(Charger).values(moved))
            times = {
                name: getattr(Command, name) - ago for name in ("applied_at", "finished_at", "created_at")
            }
            session.execute(update(Command).values(times))

    def hours_pass(self, charger_id: str, hours: int = 2) -> None:
        """Move the charger's commands back by hours, also those that the rate budget holds back."""
        with self.sessions.begin() as session:
            session.execute(
                update(Command)
                .where(Command.charger_id == charger_id)
                .values(
                    created_at=Command.created_at - timedelta(hours=hours),
                    held_since=Command.held_since - timedelta(hours=hours),
                )
            )

    # Rows.

    def charger(self, charger_id: str) -> Charger:
        with self.sessions() as session:
            return session.get_one(Charger, charger_id)

    def gone(self, charger_id: str) -> bool:
        with self.sessions() as session:
            return session.get(Charger, charger_id) is None

    def status(self, receipt: CommandReceipt) -> CommandStatus:
        with self.sessions() as session:
            return CommandStatus(session.get_one(Command, receipt.command_id).status)

    def command(self, receipt: CommandReceipt) -> Command:
        with self.sessions() as session:
            return session.get_one(Command, receipt.command_id)

    def open_commands(self) -> int:
        with self.sessions() as session:
            return (
                session.scalar(
                    select(func.count()).select_from(Command).where(Command.status.in_(["queued", "applied"]))
                )
                or 0
            )

    def _record(
        self, event_type: EventType, charger_id: str, organization: str = ORGANIZATION
    ) -> CommandReceipt:
        request = commands.LifecycleRequest(
            event_type=event_type,
            charger_id=charger_id,
            organization_id=organization,
            requested_by="tester",
            request_id=f"request of {event_type}",
        )
        with self.sessions.begin() as session:
            return commands.record_command(session, request)
