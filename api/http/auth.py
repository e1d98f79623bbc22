"""Authenticates a request: its bearer token gives the organization and the role, before anything else is read."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from flask import g, request

from api.resources import resources
from shared.auth.errors import TokenRefused
from shared.auth.tokens import ORGANIZATION_ID, ROLES, Claims

log = structlog.get_logger(__name__)

LAST_SECOND = 253_402_300_799  # of the year 9999, in seconds since 1970
ORGANIZATION_HEADER = "X-Organization-Id"


class Unauthenticated(Exception):
    """The token is missing or not valid. `error` is RFC 6750's code; None when no token was sent."""

    def __init__(self, detail: str, error: str | None = None) -> None:
        super().__init__(detail)
        self.error = error


class NotAllowed(Exception):
    """The token is valid, but its role or organization does not permit the request."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The user who sent the request, and the organization."""

    subject: str
    organization_id: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What the token of the request says, and the organization that an admin named."""

    subject: str
    role: str
    organization_id: str | None
    expires_at: datetime


def authenticate() -> None:
    """Require a valid token, and no organization header from a user. Raises Unauthenticated, NotAllowed."""
    if request.method == "OPTIONS":
        return
    claims = _claims()
    requested = request.headers.get(ORGANIZATION_HEADER)
    if claims.role not in ROLES:
        raise NotAllowed("The token has no role that may do this")
    if requested is not None:
        if claims.role != "admin":
            raise NotAllowed(
                f"{ORGANIZATION_HEADER} is for admin tokens; the token already names its organization"
            )
        if not ORGANIZATION_ID.fullmatch(requested):
            raise NotAllowed(f"{ORGANIZATION_HEADER} does not name an organization")
    g.claims = claims
    g.organization_id = requested if claims.role == "admin" else claims.organization_id


def authenticate_scope() -> None:
    """As authenticate, and require an organization of a user; an admin may act for none. Raises Unauthenticated, NotAllowed."""
    authenticate()
    if request.method != "OPTIONS" and g.claims.role != "admin" and g.organization_id is None:
        raise NotAllowed("No organization: a user's token carries it")


def authenticate_tenant() -> None:
    """As authenticate, and require an organization. Raises Unauthenticated, NotAllowed."""
    if request.method == "OPTIONS":
        return
    authenticate()
    if g.organization_id is None:
        raise NotAllowed(f"No organization: a user's token carries it, an admin sends {ORGANIZATION_HEADER}")
    g.requester = Requester(g.claims.subject, g.organization_id)


def requester() -> Requester:
    """The sender of the current request. Only on routes behind authenticate_tenant."""
    found: Requester = g.requester
    return found


def identity() -> Identity:
    """The sender of the current request. Only on routes that need a token."""
    claims: Claims = g.claims
    expires_at = datetime.fromtimestamp(min(claims.expires_at, LAST_SECOND), UTC)
    return Identity(claims.subject, claims.role, g.organization_id, expires_at)


def require_admin() -> None:
    """Raises NotAllowed for a user's token. Only on routes that need a token."""
    if g.claims.role != "admin":
        raise NotAllowed("Only an admin's token may do this")


def _claims() -> Claims:
    header = request.headers.get("Authorization")
    if header is None:
        raise Unauthenticated("A bearer token is required")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii() or " " in token:
        raise Unauthenticated("A bearer token is required", "invalid_request")
    try:
        return resources().verifier.verify(token)
    except TokenRefused as error:
        log.info("token.refused", reason=str(error))
        raise Unauthenticated("The token is not valid", "invalid_token") from error
