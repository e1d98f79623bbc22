"""How a program of ours begins: with settings that make sense, or with one line that says what is wrong."""

import sys
from typing import NoReturn

import structlog

from shared.auth.keys import check_keys
from shared.settings import Settings, SettingsError
from shared.startup.environment import leave_out_strays, load_settings

_not_used: list[str] = []


def checked_settings(*, verifies_tokens: bool) -> Settings:
    """The settings, with keys that can be used: also where another process needs them. Raises SettingsError.

    What libraries would read past them is gone from the environment then.
    """
    settings = load_settings()
    _not_used.extend(leave_out_strays())
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


def report_strays() -> None:
    """One log line, when there were variables that are not used. For who has set up its log."""
    if _not_used:
        structlog.get_logger(__name__).warning("settings.not_used", variables=list(_not_used))


def exit_with(error: SettingsError) -> NoReturn:
    sys.exit(f"chargehand: {error}")
