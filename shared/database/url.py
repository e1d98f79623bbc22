"""Parse and check DATABASE_URL, in every form of libpq's documentation, before anything connects.

libpq's own parser is not used: gunicorn's parent process reads the settings and must not import psycopg.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import unquote

SCHEMES = ("postgresql+psycopg://", "postgresql://", "postgres://")

#: The parameter key words of libpq's documentation (34.1.2), without those of REFUSED.
KEYWORDS = frozenset(
    [
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "gsslib",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "options",
        "passfile",
        "password",
        "port",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslkeylogfile",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ]
)
REFUSED = {
    "service": "write what the service file says into the URL",
    "servicefile": "write what the service file says into the URL",
    "replication": "Chargehand reads tables, not the replication stream",
}
CHOICES = {
    "channel_binding": ("disable", "prefer", "require"),
    "client_encoding": ("UTF8", "utf8", "UTF-8", "utf-8"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "sslcertmode": ("disable", "allow", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "primary"),  # the others accept servers that refuse writes
}
NUMBERS = frozenset(
    [
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    ]
)
FILES = frozenset(("sslcert", "sslcrl", "sslkey", "sslrootcert"))

#: Set for every connection, whatever the server, the role and the database say: what the code and the answers mean.
SESSION = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "array_nulls": "on",
    "bytea_output": "hex",
    "default_transaction_isolation": "read committed",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
}
SET_BY_US = frozenset(name.lower() for name in (*SESSION, "client_encoding"))

ENCODE = "in a user or a password, : / @ and , are written %3A %2F %40 and %2C"
HOST = re.compile(r"(?:\[(?P<ipv6>[^]]*)\]|(?P<name>[^:/?,[]*))(?::(?P<port>[^/?,]*))?")
#: The name of each setting in `options`: "-c name=value" or "--name=value".
OPTION = re.compile(r"(?:^|\s)(?:-c\s*|--)([\w.-]+)\s*=")


class BadDatabaseUrl(ValueError):
    """The message is a line that follows the word DATABASE_URL and holds no secret."""


def connection_parameters(url: str) -> dict[str, str]:
    """The parameters of libpq in the URL. Raises BadDatabaseUrl."""
    scheme = next((scheme for scheme in SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise BadDatabaseUrl("must be a postgresql:// URL")
    credentials, place, query = _split(url.removeprefix(scheme))
    found = _credentials(credentials) | _place(place) | _query(query)
    check_parameters(found)
    return found


def settings_in(options: str) -> frozenset[str]:
    """The lower-case names of the server settings in libpq's `options`."""
    return frozenset(name.lower().replace("-", "_") for name in OPTION.findall(options))


def _split(rest: str) -> tuple[str, str, str]:
    """Split into credentials, hosts with the database, and parameters. As in libpq, the first @ ends the credentials."""
    credentials = ""
    if "@" in rest.partition("/")[0]:
        credentials, _, rest = rest.partition("@")
    place, _, query = rest.partition("?")
    return credentials, place, query


def _credentials(text: str) -> dict[str, str]:
    user, _, password = text.partition(":")
    return _without_empty({"user": _decoded(user), "password": _decoded(password)})


def _place(text: str) -> dict[str, str]:
    """Of host:port,host:port/dbname"""
    hosts, _, dbname = text.partition("/")
    names, ports = [], []
    for host in hosts.split(","):
        read = HOST.fullmatch(host)
        if read is None or read["ipv6"] == "":
            raise BadDatabaseUrl(f"has no host that can be read: {ENCODE}")
        names.append(_decoded(read["ipv6"] or read["name"] or ""))
        ports.append(read["port"] or "")
    host = ",".join(names) if any(names) else ""
    port = ",".join(ports) if any(ports) else ""
    return _without_empty({"host": host, "port": port, "dbname": _decoded(dbname)})


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        if pair.count("=") != 1:
            raise BadDatabaseUrl("must have parameters of the form name=value: a = in a value is written %3D")
        keyword, value = (_decoded(part) for part in pair.split("="))
        if (keyword, value) == ("ssl", "true"):  # as JDBC writes it, and libpq reads it
            keyword, value = "sslmode", "require"
        if keyword in REFUSED:
            raise BadDatabaseUrl(f"may not have the parameter {keyword}: {REFUSED[keyword]}")
        if keyword not in KEYWORDS:
            raise BadDatabaseUrl(f"has the parameter {keyword!r}, which libpq does not know")
        found[keyword] = value
    return found


def _without_empty(found: Mapping[str, str]) -> dict[str, str]:
    return {keyword: value for keyword, value in found.items() if value}


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", text):
        raise BadDatabaseUrl("has a % that begins no character: a % itself is written %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadDatabaseUrl("has a character that is not written in UTF-8") from None


def check_parameters(found: Mapping[str, str]) -> None:
    """Raises BadDatabaseUrl for a value that libpq would refuse when it connects, or that Chargehand sets itself."""
    ports = found.get("port", "").split(",")
    if not all(_is_port(port) for port in ports if port):
        raise BadDatabaseUrl(f"must have a port from 1 to 65535, or none: {ENCODE}")
    hosts = (found.get("hostaddr") or found.get("host", "")).split(",")
    if len(ports) not in (1, len(hosts)):
        raise BadDatabaseUrl(
            f"names {len(hosts)} hosts and {len(ports)} ports: one port for all, or one for each"
        )
    _check_values(found)
    options = found.get("options", "")
    if re.search(r"-c\+|\+-", options):
        raise BadDatabaseUrl("has a + in its options: a space is written %20")
    for name in sorted(SET_BY_US & settings_in(options)):
        raise BadDatabaseUrl(f"may not set {name} in its options: Chargehand sets it for every connection")


def _check_values(found: Mapping[str, str]) -> None:
    for keyword, choices in CHOICES.items():
        if keyword in found and found[keyword] not in choices:
            raise BadDatabaseUrl(
                f"must have one of {', '.join(choices)} as {keyword}, and has {found[keyword]!r}"
            )
    for keyword in NUMBERS & found.keys():
        if not re.fullmatch(r"-?\d{1,9}", found[keyword], re.ASCII):
            raise BadDatabaseUrl(f"must have a whole number as {keyword}, and has {found[keyword]!r}")
    for keyword in FILES & found.keys():
        if found[keyword] != "system" and not os.access(found[keyword], os.R_OK):
            raise BadDatabaseUrl(f"names a file as {keyword} that cannot be read: {found[keyword]}")


def _is_port(port: str) -> bool:
    return port.isascii() and port.isdecimal() and 0 < int(port) < 65_536
