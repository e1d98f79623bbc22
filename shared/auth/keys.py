"""Check the keys that verify tokens: present, fit for the algorithm, and hard to guess."""

from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.settings import ALGORITHMS, ControlSettings, SettingsError, TokenSettings

SECRET_BYTES = 32  # as long as the hash of HS256 (RFC 7518, 3.2)
RSA_BITS = 2048  # RFC 7518, 3.3
SECRET_ALPHABET = 10  # different characters; a random secret has more
#: Parts of the placeholders in examples and tutorials.
GIVEAWAYS = (
    "changeme",
    "change-me",
    "change_me",
    "changethis",
    "change-this",
    "default",
    "example",
    "insecure",
    "password",
    "secret-key",
    "secretkey",
    "supersecret",
    "super-secret",
    "your-",
    "your_",
)

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

PublicKey = RSAPublicKey | EllipticCurvePublicKey


def check_keys(tokens: TokenSettings, *, embedded: bool) -> None:
    """Raises SettingsError for a key that is missing or, unless embedded, easy to guess."""
    if tokens.algorithm not in ALGORITHMS:
        raise SettingsError(f"JWT_ALGORITHM must be {' or '.join(ALGORITHMS)}")
    if tokens.algorithm == "HS256":
        check_secret(tokens.secret, embedded=embedded)
    elif tokens.public_key:
        checked_public_key(tokens.public_key, tokens.algorithm)
    elif not tokens.jwks_url.startswith(("https://", "http://")):
        raise SettingsError("JWT_PUBLIC_KEY or JWT_JWKS_URL (http or https) must be set")
    elif not embedded:
        check_provider(tokens)


def check_provider(tokens: TokenSettings) -> None:
    """Raises SettingsError when another party could supply keys, or tokens for other services would be accepted."""
    url = urlsplit(tokens.jwks_url)
    if url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS:
        raise SettingsError(
            "JWT_JWKS_URL must be https: whoever is on the way could put in a key (http to a proxy on localhost is fine)"
        )
    if not tokens.audience:
        raise SettingsError(
            "JWT_AUDIENCE must be set with JWT_JWKS_URL: the provider issues tokens for other services too"
        )


def check_control_secrets(control: ControlSettings, *, embedded: bool) -> None:
    """Raises SettingsError for secrets of the control link that are missing or, unless embedded, easy to guess."""
    for secret in control.secrets or ("",):
        check_secret(secret, name="CONTROL_SECRET", embedded=embedded)


def check_secret(secret: str, *, name: str = "JWT_SECRET", embedded: bool) -> None:
    if not secret:
        raise SettingsError(f"{name} is not set")
    if embedded:
        return
    if len(secret.encode()) < SECRET_BYTES:
        raise SettingsError(f"{name} must have at least {SECRET_BYTES} bytes")
    repeats = secret in (secret + secret)[1:-1]
    if repeats or len(set(secret)) < SECRET_ALPHABET or any(word in secret.lower() for word in GIVEAWAYS):
        raise SettingsError(f"{name} is easy to guess: take a random one, such as of openssl rand -hex 32")


def checked_public_key(pem: str, algorithm: str) -> PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError("JWT_PUBLIC_KEY is not a public key in PEM") from error
    if isinstance(key, PublicKey) and fits(key, algorithm):
        return key
    wanted = f"an RSA key of {RSA_BITS} bits or more" if algorithm == "RS256" else "a key on the curve P-256"
    raise SettingsError(f"JWT_PUBLIC_KEY does not fit {algorithm}: it takes {wanted}")


def fits(key: object, algorithm: str) -> bool:
    if algorithm == "RS256":
        return isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
