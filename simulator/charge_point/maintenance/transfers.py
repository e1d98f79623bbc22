"""What a simulated download or upload goes by: its location, its attempts, its signature."""

import ssl
from base64 import b64decode
from collections.abc import Collection
from urllib.parse import urlsplit

from simulator.link.frames import Payload

#: A location that contains one of these makes that step fail, for tests of a CSMS.
FAIL_DOWNLOAD, FAIL_SIGNATURE, FAIL_INSTALL = "fail-download", "fail-signature", "fail-install"
FAIL_UPLOAD = "fail-upload"

#: No request makes the charger try more often, or wait longer between two attempts.
MAX_RETRIES = 10
MAX_RETRY_INTERVAL_S = 86_400

#: Bytes of the shortest signature that OCPP allows: ECDSA or EC-Schnorr with 256 bits (OCPP 2.0.1, A00.FR.502).
SHORTEST_SIGNATURE = 64


def is_reachable(location: str, protocols: Collection[str]) -> bool:
    """Whether the location is a URL of one of these protocols, with a host."""
    try:
        parts = urlsplit(location)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme.upper() in protocols and bool(parts.hostname)


def attempts_of(request: Payload) -> tuple[int, float]:
    """How often to try again after the first attempt, and the seconds before each further one; at most MAX_RETRIES.

    As EVerest counts: `retries` does not include the first attempt. Without it, there is no further one.
    """
    retries = min(max(request.get("retries", 0), 0), MAX_RETRIES)
    return retries, float(min(max(request.get("retryInterval", 0), 0), MAX_RETRY_INTERVAL_S))


def is_certificate(text: str) -> bool:
    """Whether OpenSSL reads it as X.509 certificates in PEM. Dates, issuer and revocation are not checked."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, TypeError, ValueError):
        return False
    return True


def is_signature(text: str) -> bool:
    """Whether it is base64 of at least the shortest signature; there is no file to verify it against."""
    try:
        return len(b64decode(text, validate=True)) >= SHORTEST_SIGNATURE
    except ValueError:
        return False
