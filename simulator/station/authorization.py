"""Which tokens may charge: the local list, the cache, and the CSMS's own answer."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from simulator.configuration import Options
from simulator.station.model import Token

#: Entries of the cache; beyond it, the one that was stored longest ago is dropped.
CACHE_SIZE = 200


class TokenInfo(NamedTuple):
    status: str  #: "Accepted", or OCPP's reason for the refusal
    group: str | None = None
    expires_at: float | None = None


Decide = Callable[[TokenInfo], None]


class Csms(Protocol):
    """Answers what the charger does not know."""

    @property
    def reachable(self) -> bool: ...

    def request_authorization(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None:
        """`then` gets None when no answer came."""


class Authorizer:
    def __init__(self, options: Options, now: Callable[[], float], csms: Csms) -> None:
        self._options = options
        self._now = now
        self._csms = csms
        self.list_version = 0
        self.local_list: dict[str, TokenInfo] = {}
        self.cache: dict[str, TokenInfo] = {}

    def authorize(self, token: Token, decide: Decide) -> None:
        """Calls `decide` at once where that is possible, else when the CSMS has answered."""
        if token.kind == "NoAuthorization":
            decide(TokenInfo("Accepted"))
            return
        known = self.find(token)
        accepted = known if known and known.status == "Accepted" else None
        if not self._csms.reachable:
            decide(self._decide_offline(known))
        elif accepted and self._options.flag("local_pre_authorize"):
            decide(accepted)
        else:
            self._csms.request_authorization(token, lambda info: decide(info or self._decide_offline(known)))

    def find(self, token: Token) -> TokenInfo | None:
        """What the local list knows, or else the cache; None: neither knows the token."""
        name = token.value.lower()
        info = None
        if self._options.flag("local_list_enabled"):
            info = self.local_list.get(name)
        if info is None and self._options.flag("cache_enabled"):
            info = self.cache.get(name)
        if info and info.expires_at is not None and info.expires_at <= self._now():
            return info._replace(status="Expired")
        return info

    def remember(self, token: Token, info: TokenInfo) -> None:
        if self._options.flag("cache_enabled") and token.kind != "NoAuthorization":
            self.cache.pop(token.value.lower(), None)
            self.cache[token.value.lower()] = info
            while len(self.cache) > CACHE_SIZE:
                del self.cache[next(iter(self.cache))]

    def clear_cache(self) -> bool:
        """False when the cache is off."""
        if not self._options.flag("cache_enabled"):
            return False
        self.cache.clear()
        return True

    def update_list(
        self, version: int, entries: Iterable[tuple[str, TokenInfo | None]], *, full: bool
    ) -> str:
        """The status for the answer. An entry without info is removed from the list."""
        changes = {name.lower(): info for name, info in entries}
        if not self._options.flag("local_list_enabled"):
            return "Failed"
        if not full and version <= self.list_version:
            return "VersionMismatch"
        merged = {} if full else dict(self.local_list)
        for name, info in changes.items():
            if info is not None:
                merged[name] = info
            else:
                merged.pop(name, None)
        if len(merged) > self._options.number("local_list_max"):
            return "Failed"
        self.local_list, self.list_version = merged, version
        return "Accepted"

    def _decide_offline(self, known: TokenInfo | None) -> TokenInfo:
        if known and self._options.flag("local_authorize_offline"):
            return known
        if known is None and self._options.flag("accept_unknown_offline"):
            return TokenInfo("Accepted")
        return TokenInfo("Invalid")
