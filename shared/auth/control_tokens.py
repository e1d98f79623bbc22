"""Make and verify the tokens with which processes of chargers open the control link.

A process starts with its first token, which does not expire and is good for the hellos of this process only. The link
answers a hello with a session token, which expires and is good for one boot of the process. Both are JSON Web Tokens,
signed with HS256 by the first of the secrets; the others verify tokens that were signed before a rotation.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from shared.auth.errors import TokenRefused

ALGORITHM = "HS256"
AUDIENCE = "chargehand-control"
SESSION_TOKEN_TTL_S = 3600
MAX_ID_CHARACTERS = 128
LEEWAY_S = 5


@dataclass(frozen=True, slots=True)
class ControlClaims:
    """What a verified token says."""

    process_id: str
    boot_id: str | None  #: None for a first token, which is good for every boot


class ControlTokens:
    """Signs and verifies. One per process; safe to share between threads."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """The secrets of CONTROL_SECRET, at least one; the first signs."""
        self._keys = {key_id(secret): secret for secret in secrets}
        self._signing = key_id(secrets[0])

    def first_token(self, process_id: str) -> str:
        """The token of a process's task definition: always the same for the same secret."""
        return self._sign({"aud": AUDIENCE, "sub": process_id, "use": "hello"})

    def session_token(self, process_id: str, boot_id: str) -> str:
        """A token for this boot of the process. It expires after SESSION_TOKEN_TTL_S seconds."""
        expires_at = int(time.time()) + SESSION_TOKEN_TTL_S
        return self._sign(
            {"aud": AUDIENCE, "sub": process_id, "use": "session", "boot": boot_id, "exp": expires_at}
        )

    def verify(self, token: str) -> ControlClaims:
        """The claims of a valid token. Raises TokenRefused."""
        try:
            secret = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if secret is None:
                raise TokenRefused("signed with another key")
            payload = jwt.decode(token, secret, algorithms=[ALGORITHM], audience=AUDIENCE, leeway=LEEWAY_S)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenRefused(f"{type(error).__name__}: {error}") from error
        return _claims(payload)

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(
            claims, self._keys[self._signing], algorithm=ALGORITHM, headers={"kid": self._signing}
        )


def key_id(secret: str) -> str:
    """Names the secret in a token without revealing it."""
    return sha256(b"chargehand control key " + secret.encode()).hexdigest()[:12]


def _claims(payload: dict[str, Any]) -> ControlClaims:
    process_id, use, boot_id = payload.get("sub"), payload.get("use"), payload.get("boot")
    if not isinstance(process_id, str) or not 0 < len(process_id) <= MAX_ID_CHARACTERS:
        raise TokenRefused("sub names no process")
    if use == "hello":
        return ControlClaims(process_id, None)
    if use == "session" and isinstance(boot_id, str) and "exp" in payload:
        return ControlClaims(process_id, boot_id)
    raise TokenRefused("it is neither a first token nor a session's")
