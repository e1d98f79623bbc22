"""Check Flower's options in the environment: Flower itself ends with a trace for one that it cannot read."""

from collections.abc import Mapping

from celery.utils.serialization import strtobool
from flower.command import is_flower_envvar
from flower.options import options

from shared.settings import SettingsError


def check_flower_options(variables: Mapping[str, str]) -> None:
    """Raise SettingsError for the first FLOWER_* variable that Flower cannot read."""
    for name in sorted(filter(is_flower_envvar, variables)):
        value = variables[name]
        option = options._options[_key(name)]
        read = strtobool if option.type is bool else option.type
        try:
            for part in value.split(",") if option.multiple else [value]:
                read(part)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"{name} must be {option.type.__name__}, and is {value!r}{_hint(value)}"
            ) from error


def _key(name: str) -> str:
    key = name.removeprefix("FLOWER_").lower()
    return key if key in options._options else key.replace("_", "-")


def _hint(value: str) -> str:
    if not value.startswith("tcp://"):
        return ""
    return ": Kubernetes sets it for a Service named flower; give the pod enableServiceLinks: false"
