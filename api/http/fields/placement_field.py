"""The field that says where a charger runs."""

from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError

from api.http.fields.fields import Choice, Metadata, Problem
from api.resources import resources
from shared.vocabulary import Placement

NO_LINK = Problem(
    "Hosts get their chargers over the control link only: the operator must set CONTROL_URL",
    "value_error",
)


def default_placement() -> str:
    """The placement of a new charger whose client chooses none."""
    return resources().settings.default_placement.value


class ChargerPlacement(Choice):
    """A service of its own, or a host. Refused where a host's chargers could not be reached."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(Placement, metadata=metadata, **kwargs)

    def _checked(self, value: str) -> str:
        placement = super()._checked(value)
        if placement == Placement.SHARED and not resources().settings.control.url:
            raise ValidationError(NO_LINK)
        return str(placement)
