"""Validates and normalizes the URL of a charger's CSMS; shared/destinations.py says which hosts are permitted.

Loopback and private addresses are common in tests, so they are permitted unless the operator denies them.
"""

import re
import socket
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit, urlunsplit

from shared.destinations import MAX_URL_LENGTH, OPEN, Destinations

#: Every valid URL matches this; not every match is valid.
CHARACTERS = re.compile(r"[Ww][Ss]{1,2}://[!\"$-\[\]-~]+")

# Underscores are allowed, because Docker Compose uses them in service names.
_HOST = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*"
    r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_NETLOC = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(:[0-9]{1,5})?")
_PATH_AND_QUERY = re.compile(r"([A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
# A resolver takes 2130706433, 0x7f.1 and 0177.0.0.1 for addresses.
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)")

DEFAULT_PORTS = {"ws": 80, "wss": 443}


class InvalidWsUrl(ValueError):
    """The URL is not valid. The message does not repeat it, because it may contain a password."""


def normalise_ws_url(url: str, destinations: Destinations = OPEN) -> str:
    """The normal form, in which the URL is stored and passed to the charger. Raises InvalidWsUrl."""
    _check_length(url)
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidWsUrl("URL should have only printable ASCII, no spaces and no backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidWsUrl("URL should have a valid host, and a port from 1 to 65535") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidWsUrl("URL scheme should be ws or wss")
    if "@" in parts.netloc:
        raise InvalidWsUrl("URL should have no user name or password")
    if "#" in url:
        raise InvalidWsUrl("URL should have no fragment")
    if not _PATH_AND_QUERY.fullmatch(parts.path) or not _PATH_AND_QUERY.fullmatch(parts.query):
        raise InvalidWsUrl("URL path or query has a character that must be percent-encoded")
    if not _NETLOC.fullmatch(parts.netloc) or port == 0:
        raise InvalidWsUrl("URL should have a valid host, and a port from 1 to 65535")
    host = _normal_host(parts.netloc, parts.hostname or "")
    _check_host(host, destinations)
    if port is not None and port != DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{port}"
    normal = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    _check_length(normal)  # it may have become longer: 1.1 is now 1.0.0.1
    return normal


def _check_length(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise InvalidWsUrl(f"URL should have at most {MAX_URL_LENGTH} characters")


def _check_host(host: str, destinations: Destinations) -> None:
    if OPEN.refuse_host(host):
        raise InvalidWsUrl("URL address should not be link-local, unspecified, multicast or broadcast")
    if destinations.refuse_host(host):
        raise InvalidWsUrl("URL host is not one that chargers may connect to here")


def _normal_host(netloc: str, host: str) -> str:
    if netloc.startswith("["):
        return f"[{_ipv6(host)}]"
    if not _HOST.fullmatch(host):
        raise InvalidWsUrl("URL should have a host")
    labels = host.rstrip(".").split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return host.lower()
    try:
        return str(IPv4Address(socket.inet_aton(host.rstrip("."))))
    except OSError as error:
        raise InvalidWsUrl("URL should have a valid IP address or host name") from error


def _ipv6(host: str) -> IPv6Address:
    if "%" in host:
        raise InvalidWsUrl("URL address should have no zone")
    try:
        return IPv6Address(host)
    except ValueError as error:
        raise InvalidWsUrl("URL should have a valid IP address") from error
