"""What can be wrong with a wish. api/http/errors.py alone knows the status codes."""


class NotFound(Exception):
    """No such thing in this organization; whether another one has it is not told."""


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
    """A business rule on a charger's data is broken. `param` is the field to blame, when there is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class QuotaFull(Exception):
    """The organization has as many as it may, and waiting does not change that."""


class NotReady(Exception):
    """The charger has no runtime to command yet, or will never have one."""
