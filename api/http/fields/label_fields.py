"""Fields for labels, and for the time after which something goes away by itself."""

from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError

from api.http.fields.fields import Metadata, Problem, Text, documented
from api.http.fields.json_fields import Integer, Map
from shared.fleet.expiry import MAX_TTL_S, MIN_TTL_S
from shared.fleet.labels import FILTER, MAX_LABELS, MAX_VALUE_LENGTH, NAME, VALUE, Label, read_labels

BAD_NAME = Problem(
    "The name of a label should be 1 to 63 letters, digits and _./-", "string_pattern_mismatch"
)
BAD_FILTER = Problem(
    f"Input should be 1 to {MAX_LABELS} labels as name or name:value, separated by commas",
    "string_pattern_mismatch",
)


class _Value(Text):
    def __init__(self) -> None:
        super().__init__(max_length=MAX_VALUE_LENGTH, metadata={"pattern": documented(VALUE)})

    def _checked(self, value: str) -> str:
        if not VALUE.fullmatch(value):
            raise ValidationError(Problem("The value of a label should have no comma", "value_error"))
        return value


class Labels(Map):
    """Labels of a charger or a location; null loads as none."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(
            _Value(),
            max_length=MAX_LABELS,
            allow_none=True,
            metadata={"example": {"run": "1234"}, **metadata},
            **kwargs,
        )

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        loaded = super().deserialize(value, *args, **kwargs)
        return {} if loaded is None else loaded

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        loaded = super()._deserialize(value, attr, data, **kwargs)
        if problems := {name: [BAD_NAME] for name in loaded if not NAME.fullmatch(name)}:
            raise ValidationError(problems)
        return loaded


class LabelFilter(Text):
    """Labels that all must match: `run:1234` by its value, `run` by its name, several by comma."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        shown = {"pattern": documented(FILTER), "example": "run:1234,smoke"}
        super().__init__(min_length=1, max_length=2000, metadata={**shown, **metadata}, **kwargs)

    def _checked(self, value: str) -> tuple[Label, ...]:
        labels = read_labels(value)
        if labels is None:
            raise ValidationError(BAD_FILTER)
        return labels


class TtlSeconds(Integer):
    """The seconds after which something goes away by itself, from now on; null for never."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(
            minimum=MIN_TTL_S,
            maximum=MAX_TTL_S,
            allow_none=True,
            metadata={"example": 3600, **metadata},
            **kwargs,
        )
