"""Keys, settings and tokens that the tests of shared/auth sign with."""

import time
from dataclasses import replace
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth.tokens import TokenVerifier
from shared.settings import TokenSettings

SECRET = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"

HS256 = TokenSettings("HS256", SECRET, "", "", "", "", 86_400)

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


RS256 = replace(HS256, algorithm="RS256", secret="", public_key=pem(RSA_KEY))

ES256 = replace(HS256, algorithm="ES256", secret="", public_key=pem(EC_KEY))

AUDIENCE = "chargehand"

BY_JWKS = replace(RS256, public_key="", jwks_url="https://idp.test/keys", audience=AUDIENCE)


def sign(
    claims: dict[str, Any] | None = None,
    key: Any = SECRET,
    algorithm: str = "HS256",
    headers: dict[str, Any] | None = None,
    without: str = "",
) -> str:
    now = int(time.time())
    good = {"sub": "ada", "role": "user", "organization_id": "acme", "iat": now, "exp": now + 600}
    good.pop(without, None)
    return jwt.encode(good | (claims or {}), key, algorithm=algorithm, headers=headers)


def verifier(settings: TokenSettings = HS256) -> TokenVerifier:
    return TokenVerifier(settings, embedded=False)
