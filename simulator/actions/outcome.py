"""How an action ended."""

from typing import Any, Literal, NamedTuple

from simulator.plain_json import plain


class Outcome(NamedTuple):
    """`applied`: it happened. `rejected`: the charger or the CSMS said no. `failed`: nobody can say yes or no."""

    status: Literal["applied", "rejected", "failed"]
    reason: str | None = None
    result: dict[str, Any] | None = None

    def made_plain(self) -> "Outcome":
        """As every door can carry it: a CSMS's text may be no UTF-8, and its number none of JSON."""
        return self._replace(reason=plain(self.reason), result=plain(self.result))


class Rejected(Exception):
    """The charger does not do this, and nothing has changed. The message says why."""


class Failed(Exception):
    """The charger cannot do this: its CSMS is out of reach. The message says why."""
