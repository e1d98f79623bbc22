"""The gallery of locations that a client can make with their chargers (contract 7)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from shared.vocabulary import OcppVersion

FILE = Path(__file__).parent / "templates.json"

#: The connectors of AC chargers in our catalog. NACS carries DC too, but every model with it there is an AC charger.
AC_CONNECTORS = frozenset({"Type1", "Type2", "NACS", "Schuko"})


class TemplateType(StrEnum):
    """The power family of a location."""

    AC = "AC"
    DC = "DC"
    AC_DC = "AC-DC"


class ParkingType(StrEnum):
    """As OCPI 2.2.1 names them (8.4.22)."""

    ALONG_MOTORWAY = "ALONG_MOTORWAY"
    PARKING_GARAGE = "PARKING_GARAGE"
    PARKING_LOT = "PARKING_LOT"
    ON_DRIVEWAY = "ON_DRIVEWAY"
    ON_STREET = "ON_STREET"
    UNDERGROUND_GARAGE = "UNDERGROUND_GARAGE"


@dataclass(frozen=True, slots=True)
class ChargerGroup:
    """Equal chargers of a template. Brand, model, connector and power are of the catalog."""

    brand_slug: str
    model_slug: str
    connector_type: str
    ocpp_version: OcppVersion
    count: int
    nominal_kw: float


@dataclass(frozen=True, slots=True)
class LocationTemplate:
    slug: str
    name: str
    description: str
    country: str  #: ISO 3166-1 alpha-2
    parking_type: ParkingType
    chargers: tuple[ChargerGroup, ...]

    @staticmethod
    def of(raw: Mapping[str, Any]) -> "LocationTemplate":
        """The template that the file describes."""
        groups = tuple(
            ChargerGroup(**{**group, "ocpp_version": OcppVersion(group["ocpp_version"])})
            for group in raw["chargers"]
        )
        return LocationTemplate(
            **{**raw, "parking_type": ParkingType(raw["parking_type"]), "chargers": groups}
        )

    @property
    def type(self) -> TemplateType:
        """Follows from the connectors."""
        connectors = {group.connector_type for group in self.chargers}
        if connectors <= AC_CONNECTORS:
            return TemplateType.AC
        return TemplateType.AC_DC if connectors & AC_CONNECTORS else TemplateType.DC

    @property
    def ocpp_version(self) -> OcppVersion | None:
        """The version of all its chargers; None when they differ."""
        versions = {group.ocpp_version for group in self.chargers}
        return versions.pop() if len(versions) == 1 else None


@cache
def load_templates() -> tuple[LocationTemplate, ...]:
    """All of them, in the order of the file."""
    return tuple(map(LocationTemplate.of, json.loads(FILE.read_text(encoding="utf-8"))))


def get_template(slug: str) -> LocationTemplate:
    """The template. Raises KeyError."""
    return {template.slug: template for template in load_templates()}[slug]


def find_templates(
    type_: TemplateType | None = None, ocpp_version: OcppVersion | None = None
) -> Sequence[LocationTemplate]:
    """Those of the type and the version; one with chargers of both versions is of either."""
    return [
        template
        for template in load_templates()
        if type_ in {None, template.type}
        and (not ocpp_version or template.ocpp_version in {None, ocpp_version})
    ]
