"""The countries of ISO 3166 and the time zones of IANA, from the same data as `zoneinfo`: the system's, else the package tzdata."""

import zoneinfo
from functools import cache
from importlib.resources import files
from pathlib import Path

#: Among the system's zones, and not of IANA.
_NOT_ZONES = frozenset({"Factory", "localtime"})


@cache
def country_codes() -> tuple[str, ...]:
    """The codes of ISO 3166-1 alpha-2, sorted."""
    lines = _text_of("iso3166.tab").splitlines()
    return tuple(sorted(line.split("\t")[0] for line in lines if line and not line.startswith("#")))


@cache
def time_zones() -> tuple[str, ...]:
    """The names of the time zones, sorted."""
    return tuple(sorted(zoneinfo.available_timezones() - _NOT_ZONES))


def _text_of(name: str) -> str:
    for folder in zoneinfo.TZPATH:
        path = Path(folder, name)
        if path.is_file():
            return path.read_text()
    return files("tzdata").joinpath("zoneinfo", name).read_text()
