"""How an action ended."""

from typing import Any, Literal, NamedTuple

from simulator.plain_json import plain, plain_text

#: Of a result as JSON; the longest that a charger makes is a full local list.
MAX_RESULT_BYTES = 512 * 1024


class Outcome(NamedTuple):
    """`applied`: it happened. `rejected`: the charger or the CSMS said no. `failed`: nobody can say yes or no."""

    status: Literal["applied", "rejected", "failed"]
    reason: str | None = None
    result: dict[str, Any] | None = None

    def made_plain(self) -> "Outcome":
        """As every door can carry it: a CSMS's text may be no UTF-8, its number none of JSON, its answer too long."""
        reason, result = plain(self.reason), plain(self.result)
        size = len(plain_text(result))
        if size > MAX_RESULT_BYTES:
            reason, result = f"the result is left out: it has {size} bytes", None
        return self._replace(reason=reason, result=result)


class Rejected(Exception):
    """The charger does not do this, and nothing has changed. The message says why."""


class Failed(Exception):
    """The charger cannot do this: its CSMS is out of reach. The message says why."""
