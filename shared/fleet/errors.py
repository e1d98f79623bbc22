"""Why a request is refused. Only api/http/errors.py knows the status codes."""


class NotFound(Exception):
    """The organization has no such row. The message never says whether another organization has it."""


class ChargerNotFound(NotFound):
    def __init__(self, charger_id: str) -> None:
        super().__init__(f"Charger {charger_id} not found")


class CommandNotFound(NotFound):
    def __init__(self, command_id: str) -> None:
        super().__init__(
            f"Command {command_id} not found. A command is kept for a limited time after its end"
        )


class ActionNotFound(NotFound):
    def __init__(self, action_id: int) -> None:
        super().__init__(f"Action {action_id} not found. An action is kept for a limited time after its end")


class JobNotFound(NotFound):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} not found. A job is kept for a limited time after its end")


class LocationNotFound(NotFound):
    def __init__(self, location_id: str) -> None:
        super().__init__(f"Location {location_id} not found")


class HostNotFound(NotFound):
    def __init__(self, host_id: str) -> None:
        super().__init__(f"Host {host_id} not found")


class SlugTaken(Exception):
    """Another location of the organization has the slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"Another location has the slug {slug}")


class LocationTooLarge(Exception):
    """The location has more chargers than one request may act on."""

    def __init__(self, location_id: str, max_chargers: int) -> None:
        super().__init__(
            f"Location {location_id} has more than {max_chargers} chargers: name some of them in 'charger_ids'"
        )


class ReportTooLarge(Exception):
    """The location has more chargers than a report may have."""

    def __init__(self, location_id: str, max_chargers: int) -> None:
        super().__init__(
            f"Location {location_id} has more than {max_chargers} chargers, the most of a report"
        )


class BrandNotFound(NotFound):
    def __init__(self, slug: str) -> None:
        super().__init__(f"Brand {slug} not found")


class ModelNotFound(NotFound):
    def __init__(self, brand_slug: str, slug: str) -> None:
        super().__init__(f"Model {slug} of brand {brand_slug} not found")


class InvalidCharger(Exception):
    """The charger's data break a rule. `param` is the field at fault, if there is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class CannotMove(InvalidCharger):
    """A charger that never ran cannot move to another placement."""

    def __init__(self) -> None:
        super().__init__(
            "The charger's provisioning has failed, so it cannot move: delete it and create it again",
            param="placement",
        )


class QuotaFull(Exception):
    """The organization's quota is full. Waiting does not help."""


class NotReady(Exception):
    """The charger has no runtime yet, or its provisioning failed."""


class TooManyJobs(Exception):
    """The organization has as many jobs that are not final as it may have."""

    def __init__(self, max_open: int) -> None:
        super().__init__(
            f"{max_open} jobs of the organization are not final, the most it may have: try again later"
        )


class JobEnded(Exception):
    """The job can no longer be paused, resumed or cancelled."""

    def __init__(self, job_id: int, status: str) -> None:
        super().__init__(f"Job {job_id} is {status}: it cannot be changed any more")


class NothingToRetry(Exception):
    """No item of the job has failed, or their chargers are deleted."""

    def __init__(self, job_id: int, missing: str = "failed item whose charger still exists") -> None:
        super().__init__(f"Job {job_id} has no {missing}")
