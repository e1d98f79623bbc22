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


class QuotaFull(Exception):
    """The organization's quota is full. Waiting does not help."""


class NotReady(Exception):
    """The charger has no runtime yet, or its provisioning failed."""
