"""How an action ended."""

from typing import Any, Literal, NamedTuple


class Outcome(NamedTuple):
    """`applied`: it happened. `rejected`: the charger or the CSMS said no. `failed`: nobody can say yes or no."""

    status: Literal["applied", "rejected", "failed"]
    reason: str | None = None
    result: dict[str, Any] | None = None


class Rejected(Exception):
    """The charger does not do this, and nothing has changed. The message says why."""


class Failed(Exception):
    """The charger cannot do this: its CSMS is out of reach. The message says why."""
