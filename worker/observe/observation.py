"""Compare what ECS reported of a charger with the charger's row."""

from dataclasses import dataclass
from datetime import datetime

from shared.models import Charger
from shared.vocabulary import ProvisioningStatus
from worker.ecs.client import ServiceView
from worker.observe.current_task import leaves_service, must_run
from worker.observe.reasons import Reason


@dataclass(frozen=True, slots=True)
class Observation:
    """A charger's row, and what ECS reported of it afterwards."""

    charger: Charger
    service: ServiceView | None  #: None when ECS has none that is ACTIVE or DRAINING
    task: (
        str | None
    )  #: the ARN of the running task; None when it is not needed, not known, or not the right one yet
    reason: Reason | None  #: why it does not run, when it should
    at: datetime  #: the database's clock before ECS was called
    link_in_doubt: (
        bool  #: another task may run than the one that was last seen running: worker/logs/apply_links.py
    )

    @property
    def is_as_desired(self) -> bool:
        """Whether ECS runs what the newest command requested."""
        charger, service = self.charger, self.service
        if service is None or not service.active or self.differs or leaves_service(charger):
            return False
        if charger.desired_count == 0:
            return service.running_count == 0 and service.pending_count == 0
        task_runs = self.task is not None or not must_run(charger)
        return service.deployed and service.running_count == 1 and task_runs

    @property
    def differs(self) -> bool:
        """Whether ECS must be called again: its settings are not the row's, or it gave up the deployment."""
        charger, service = self.charger, self.service
        if service is None or not service.active:
            return charger.provisioning_status != ProvisioningStatus.FAILED
        return (
            service.desired_count != charger.desired_count
            or service.task_definition_arn != charger.task_definition_arn
            or (self.is_down and service.rollout_failure is not None)
        )

    @property
    def is_down(self) -> bool:
        """Whether the charger should run and does not."""
        charger, service = self.charger, self.service
        if service is None or leaves_service(charger):
            return False
        return service.running_count < charger.desired_count

    @property
    def is_recorded(self) -> bool:
        """Whether the row has all this already, so that only the time of the observation changes."""
        charger, service = self.charger, self.service
        return (
            charger.deleted_at is None
            and charger.rollout_hash is None
            and service is not None
            and self.is_as_desired
            and self.task is None
            and charger.settled_generation == charger.generation
            and charger.provisioning_status == ProvisioningStatus.READY
            and charger.reason is None
            and charger.drifted_at is None
            and (charger.service_status, charger.running_count, charger.pending_count)
            == (service.status, service.running_count, service.pending_count)
        )
