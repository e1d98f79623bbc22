"""The settings about people's browsers: whose pages may call the API, where Flower is, and a CSMS to begin with."""

from urllib.parse import urlsplit

from environs import Env

from shared.settings import SettingsError
from shared.startup.urls import read_url


def read_cors_origins(env: Env) -> tuple[str, ...]:
    """CORS_ORIGINS, in the form that browsers send. Raises SettingsError."""
    given = (origin.strip() for origin in env.str("CORS_ORIGINS", "").split(","))
    return tuple(dict.fromkeys(_origin(origin) for origin in given if origin))


def _origin(given: str) -> str:
    """The origin in lower case and without the scheme's usual port, as a browser's `Origin` has it."""
    if given == "*":
        raise SettingsError("CORS_ORIGINS must name each origin: * would let any page call the API")
    if "@" in given:  # not shown: a password may stand before it
        raise SettingsError("CORS_ORIGINS must be origins without a user and a password")
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if (
        not host
        or parts.scheme not in ("http", "https")
        or given.lower() != f"{parts.scheme}://{parts.netloc}".lower()
    ):
        raise SettingsError(
            f"CORS_ORIGINS must be origins such as https://pages.example.com, without a path, and has {given!r}"
        )
    if "*" in host or not given.isascii() or port == 0:
        raise SettingsError(
            f"CORS_ORIGINS must be origins of a scheme, a host in ASCII and a port, and has {given!r}"
        )
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


def read_flower_url(env: Env) -> str:
    """FLOWER_URL, without a slash at its end, or nothing. Raises SettingsError."""
    form = "https://HOST:PORT/, without a user and a password"
    return read_url(env, "FLOWER_URL", schemes=("http", "https"), form=form).rstrip("/")


def read_csms_url(env: Env) -> str:
    """CSMS_URL, or nothing. Raises SettingsError."""
    form = "wss://HOST:PORT/PATH, without a user and a password"
    return read_url(env, "CSMS_URL", schemes=("ws", "wss"), form=form)
