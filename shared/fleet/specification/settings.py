"""The settings of a charger beyond the contract's fields: how an update changes them, and what is kept of secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.fleet.errors import InvalidCharger
from shared.fleet.specification.variables import SECRETS
from shared.models import ChargerSettings
from shared.sealing import CannotOpen, Sealer


@dataclass(frozen=True, slots=True)
class Stored:
    """The settings as they are stored."""

    settings: dict[str, Any] = field(default_factory=dict)
    sealed: dict[str, str] = field(default_factory=dict)  #: each secret encrypted, by name

    @classmethod
    def of(cls, row: ChargerSettings | None) -> "Stored":
        return cls() if row is None else cls(row.settings, row.sealed)

    @property
    def connectors(self) -> dict[str, Any]:
        found: dict[str, Any] = self.settings.get("connectors", {})
        return found

    def is_like(self, other: "Stored") -> bool:
        """Whether both have the same, but for the secrets themselves."""
        return self.settings == other.settings and self.sealed.keys() == other.sealed.keys()

    def secrets(self, sealer: Sealer) -> dict[str, str]:
        """The secrets in the clear, by name. Raises CannotOpen."""
        return {name: sealer.open_sealed(sealed) for name, sealed in self.sealed.items()}


def changed(before: Stored, given: Mapping[str, Any], sealer: Sealer) -> Stored:
    """What is stored after `given`; equal to `before` if that changes nothing. Raises NoKeys.

    Each key is replaced as a whole, the members of `security` one by one, and None removes.
    """
    settings, sealed = dict(before.settings), dict(before.sealed)
    for key, value in given.items():
        if key == "security":
            _change_security(settings, sealed, value, sealer)
        else:
            _put(settings, key, value)
    if sealed != before.sealed:
        settings["password_number"] = before.settings.get("password_number", 0) + 1
    return Stored(settings, sealed)


def check_together(stored: Stored, ws_url: str) -> None:
    """Raises InvalidCharger for settings that exclude each other."""
    profile = stored.settings.get("security", {}).get("profile")
    if profile == 2 and not ws_url.startswith("wss:"):
        raise InvalidCharger("Security profile 2 needs a ws_url that begins with wss://", param="security")
    if profile in {1, 2} and not stored.sealed:
        raise InvalidCharger(
            f"Security profile {profile} needs a password or an authorization_key_hex", param="security"
        )
    if profile == 0 and stored.sealed:
        raise InvalidCharger("Security profile 0 sends no password: remove the password", param="security")


def _change_security(
    settings: dict[str, Any], sealed: dict[str, str], given: Mapping[str, Any] | None, sealer: Sealer
) -> None:
    if given is None:
        sealed.clear()
        settings.pop("security", None)
        return
    security = dict(settings.get("security", {}))
    for member, value in given.items():
        if member in SECRETS:
            _change_secret(sealed, member, value, sealer)
        else:
            _put(security, member, value)
    _put(settings, "security", security or None)


def _change_secret(sealed: dict[str, str], name: str, secret: str | None, sealer: Sealer) -> None:
    """A charger has a password or a key: a new one takes the place of both."""
    if secret is None:
        sealed.pop(name, None)
    elif not _is_secret(sealed.get(name), secret, sealer):
        sealed.clear()
        sealed[name] = sealer.seal(secret)


def _is_secret(sealed: str | None, secret: str, sealer: Sealer) -> bool:
    try:
        return sealed is not None and sealer.open_sealed(sealed) == secret
    except CannotOpen:
        return False


def _put(settings: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        settings.pop(key, None)
    else:
        settings[key] = value
