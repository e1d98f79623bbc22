"""Encrypts what must be stored but not read from the database: passwords and keys of chargers.

The keys are the setting ENCRYPTION_KEYS. The API seals; the link opens, and sends the secret to its charger.
"""

import base64
import binascii
import hmac
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.settings import SettingsError

KEY_BYTES = 32


class NoKeys(Exception):
    """A secret was given, and this installation has no key to store it with."""

    def __init__(self) -> None:
        super().__init__("This installation stores no secrets: its operator must set ENCRYPTION_KEYS")


class CannotOpen(Exception):
    """No key of the settings opens the text: the key that sealed it was removed, or the text was damaged."""

    def __init__(self) -> None:
        super().__init__("None of the ENCRYPTION_KEYS opens what is stored")


class Sealer:
    """Seals with the first key, and opens with any: how keys are rotated (docs/security.md)."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        """Raises SettingsError for a key that is none. Without keys, seals and opens nothing."""
        normal = [normal_key(key) for key in keys]
        self._fernet = MultiFernet([Fernet(key) for key in normal]) if normal else None
        self._keys = tuple(base64.urlsafe_b64decode(key) for key in normal)

    @property
    def has_keys(self) -> bool:
        return self._fernet is not None

    def seal(self, text: str) -> str:
        """The text encrypted, in ASCII; each call returns another one. Raises NoKeys."""
        if self._fernet is None:
            raise NoKeys
        return self._fernet.encrypt(text.encode()).decode()

    def open_sealed(self, sealed: str) -> str:
        """The text that was sealed. Raises CannotOpen."""
        if self._fernet is None:
            raise CannotOpen
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise CannotOpen from error

    def digests(self, data: bytes) -> tuple[bytes, ...]:
        """What may be stored to recognize the data, which may hold a secret: the first to store, any to compare.

        HMAC-SHA256 with each key: who reads the database cannot try passwords. The last one is plain SHA-256, all that
        there is without keys; with keys only rows of the release before have it, and the next release drops it then.
        """
        return (*(hmac.digest(key, data, sha256) for key in self._keys), sha256(data).digest())


def normal_key(key: str) -> str:
    """The key as Fernet takes it, from Base64 of either alphabet, padded or not. Raises SettingsError, without the key."""
    padded = key.strip().rstrip("=").translate(str.maketrans("+/", "-_"))
    padded += "=" * (-len(padded) % 4)
    try:
        size = len(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        size = 0
    if size != KEY_BYTES:
        raise SettingsError(
            f"ENCRYPTION_KEYS must be keys of {KEY_BYTES} bytes in Base64, comma-separated, such as of openssl rand -base64 32"
        )
    return padded
