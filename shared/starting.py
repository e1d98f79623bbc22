"""How a program of ours begins: with settings that make sense, or with one line that says what is wrong."""

import sys
from typing import NoReturn

from shared.keys import check_keys
from shared.settings import Settings, SettingsError, load_settings


def checked_settings(*, verifies_tokens: bool) -> Settings:
    """The settings, with keys that can be used: also where another process needs them. Raises SettingsError."""
    settings = load_settings()
    tokens = settings.tokens
    if verifies_tokens or tokens.secret or tokens.public_key:
        check_keys(tokens, embedded=settings.embedded)
    return settings


def settings_or_exit(*, verifies_tokens: bool = False) -> Settings:
    """The settings, for a program's first line. Ends the program otherwise."""
    try:
        return checked_settings(verifies_tokens=verifies_tokens)
    except SettingsError as error:
        exit_with(error)


def exit_with(error: SettingsError) -> NoReturn:
    sys.exit(f"chargehand: {error}")
