"""Where the control link is, and what this process shows there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from simulator.settings import BadSettings, check_ws_url

#: The path of an address that has none.
DEFAULT_PATH = "/control"

MAX_ID_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    process_id: str  #: of the host, or of the one charger that the process runs
    url: str
    token: str = field(repr=False)  #: good for the hello of this process only
    ca_file: str | None = None


def read_control_settings(environ: Mapping[str, str], id_name: str = "CHARGER_ID") -> ControlSettings | None:
    """None without CHARGER_CONTROL_URL: the charger runs alone. Raises BadSettings. An empty variable counts as absent.

    `id_name` is the variable with the id of the process.
    """
    url = environ.get("CHARGER_CONTROL_URL", "").strip()
    if not url:
        return None
    return ControlSettings(
        process_id=_word(environ, id_name, MAX_ID_LENGTH),
        url=_with_path(check_ws_url("CHARGER_CONTROL_URL", url)),
        token=_word(environ, "CHARGER_CONTROL_TOKEN"),
        ca_file=environ.get("CHARGER_CONTROL_CA_FILE", "").strip() or None,
    )


def _word(environ: Mapping[str, str], name: str, longest: int = 8000) -> str:
    """Raises BadSettings, which never repeats the value: it may be a token."""
    value = environ.get(name, "").strip()
    if not value:
        raise BadSettings(f"{name} is missing, and CHARGER_CONTROL_URL needs it")
    if len(value) > longest or not value.isascii() or not value.isprintable() or " " in value:
        raise BadSettings(f"{name} must be 1 to {longest} ASCII characters without spaces")
    return value


def _with_path(url: str) -> str:
    parts = urlsplit(url)
    return url if parts.path not in ("", "/") else parts._replace(path=DEFAULT_PATH).geturl()
