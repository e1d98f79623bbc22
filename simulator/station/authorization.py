"""Which tokens may charge: the local list, the cache, and the CSMS's own answer."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from simulator.configuration import Options
from simulator.station.model import Connector, Token

#: Entries of the cache; beyond it, the oldest that is not Accepted is dropped, or else the oldest (2.0.1, C10.FR.07).
CACHE_SIZE = 200

#: Kinds of token that nobody checks (OCPP 2.0.1, C02 and C05.FR.01; so does libocpp's validate_token).
UNCHECKED_KINDS = ("Central", "NoAuthorization")


class TokenInfo(NamedTuple):
    status: str  #: "Accepted", or OCPP's reason for the refusal
    group: str | None = None
    expires_at: float | None = None
    used_at: float | None = None  #: when the cache's entry was last stored or used
    evse_ids: Sequence[int] = ()  #: where the token is valid; empty: everywhere (2.0.1, IdTokenInfoType)

    def allows(self, connector: Connector) -> bool:
        return self.status == "Accepted" and (not self.evse_ids or connector.number in self.evse_ids)


Decide = Callable[[TokenInfo], None]


class Csms(Protocol):
    """Answers what the charger does not know."""

    @property
    def reachable(self) -> bool: ...

    def request_authorization(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None:
        """`then` gets None when no answer came."""


def is_same_group(one: str | None, other: str | None) -> bool:
    """Whether two tokens of these groups belong together. A group is a token's value, so letter case does not matter."""
    return one is not None and other is not None and one.lower() == other.lower()


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
        if token.kind in UNCHECKED_KINDS or not self._options.flag("authorization_enabled"):
            decide(TokenInfo("Accepted"))
            return
        known = self.find(token)
        if not self._csms.reachable:
            decide(self._decide_offline(token))
        elif known and self._counts(token, known):
            self._touch(token)
            decide(known)
        else:
            self._csms.request_authorization(token, lambda info: decide(info or self._decide_offline(token)))

    def _counts(self, token: Token, known: TokenInfo) -> bool:
        """Whether what is known decides, without the CSMS (2.0.1, C10.FR.03, C12.FR.05 and C14)."""
        if known.status == "Accepted":
            return self._options.flag("local_pre_authorize")
        is_listed = self._listed(token.value.lower()) is not None
        return self._options.flag("list_refusal_counts" if is_listed else "cache_refusal_counts")

    def find(self, token: Token) -> TokenInfo | None:
        """What the local list knows, or else the cache; None: neither knows the token."""
        name = token.value.lower()
        info = self._listed(name)
        if info is None and self._options.flag("cache_enabled"):
            info = self.cache.get(name)
        if info and self._has_expired(info):
            return info._replace(status="Expired")
        return info

    def remember(self, token: Token, info: TokenInfo) -> None:
        """Caches what the CSMS answered about a token, unless the local list has it (OCPP 1.6 part 1, 3.5.3).

        What the cache knew of the token is outdated also while the cache is off.
        """
        name = token.value.lower()
        self.cache.pop(name, None)
        if not self._options.flag("cache_enabled") or token.kind in UNCHECKED_KINDS or self._listed(name):
            return
        self.cache[name] = info._replace(used_at=self._now())
        if len(self.cache) > CACHE_SIZE:
            refused = (
                each for each, known in self.cache.items() if known.status != "Accepted" and each != name
            )
            del self.cache[next(refused, None) or next(iter(self.cache))]

    def clear_cache(self) -> bool:
        """False when the cache is off."""
        if not self._options.flag("cache_enabled"):
            return False
        self.cache.clear()
        return True

    def update_list(
        self, version: int, entries: Sequence[tuple[str, TokenInfo | None]], *, full: bool
    ) -> str:
        """The status for the answer. An entry without info is removed from the list.

        An update that is not Accepted changes nothing. An empty list has version 0 (OCPP 1.6 part 1, 5.10).
        """
        changes = {name.lower(): info for name, info in entries}
        if len(changes) < len(entries) or not self._may_update(version, changes, full=full):
            return "Failed"
        if not full and version <= self.list_version:
            return "VersionMismatch"
        kept = {} if full else self.local_list
        merged = {name: info for name, info in (kept | changes).items() if info is not None}
        if len(merged) > self._options.number("local_list_max"):
            return "Failed"
        self.local_list, self.list_version = merged, version if merged else 0
        for name in changes:
            self.cache.pop(name, None)
        return "Accepted"

    def _may_update(self, version: int, changes: dict[str, TokenInfo | None], *, full: bool) -> bool:
        """Versions begin at 1 (2.0.1, D01.FR.18); a Full list needs the info of each token (so does libocpp)."""
        return (
            self._options.flag("local_list_enabled")
            and version > 0
            and len(changes) <= self._options.number("local_list_per_message")
            and not (full and None in changes.values())
        )

    def _listed(self, name: str) -> TokenInfo | None:
        return self.local_list.get(name) if self._options.flag("local_list_enabled") else None

    def _has_expired(self, info: TokenInfo) -> bool:
        """By its own date, or because the cache's entry was not used for the cache's lifetime."""
        now, lifetime_s = self._now(), self._options.number("cache_lifetime_s")
        unused = lifetime_s and info.used_at is not None and info.used_at + lifetime_s <= now
        return bool(unused) or (info.expires_at is not None and info.expires_at <= now)

    def _touch(self, token: Token) -> None:
        """The cache's lifetime counts from the last use of an entry."""
        name = token.value.lower()
        if name in self.cache:
            self.cache[name] = self.cache[name]._replace(used_at=self._now())

    def _decide_offline(self, token: Token) -> TokenInfo:
        """By what is known when it is decided: the list may have changed since the request."""
        known = self.find(token)
        if known and self._options.flag("local_authorize_offline"):
            self._touch(token)
            return known
        if known is None and self._options.flag("accept_unknown_offline"):
            return TokenInfo("Accepted")
        return TokenInfo("Invalid")
