"""Check the settings when a program starts. A wrong one ends it with one line that names the variable."""

import sys
from typing import NoReturn

import structlog

from shared.auth.keys import check_control_secrets, check_keys
from shared.sealing import Sealer
from shared.settings import Settings, SettingsError
from shared.startup.environment import leave_out_strays, load_settings

_not_used: list[str] = []


def checked_settings(*, verifies_tokens: bool = False, serves_control: bool = False) -> Settings:
    """The settings, with checked keys. Raises SettingsError.

    Removes the variables that libraries would read past the settings from the environment.
    """
    settings = load_settings()
    _not_used.extend(leave_out_strays())
    tokens = settings.tokens
    if verifies_tokens or tokens.secret or tokens.public_key:
        check_keys(tokens, embedded=settings.embedded)
    signs_control = (
        bool(settings.control.url) and not verifies_tokens
    )  # the API only has to know that there is a link
    if serves_control or signs_control or settings.control.secrets:
        check_control_secrets(settings.control, embedded=settings.embedded)
    Sealer(settings.encryption_keys)
    return settings


def settings_or_exit(*, verifies_tokens: bool = False, serves_control: bool = False) -> Settings:
    """The checked settings. Ends the program with one line when they are wrong."""
    try:
        return checked_settings(verifies_tokens=verifies_tokens, serves_control=serves_control)
    except SettingsError as error:
        exit_with(error)


def report_strays() -> None:
    """Log the variables that were removed, in one line, if any. Call it after configure_logging."""
    if _not_used:
        structlog.get_logger(__name__).warning("settings.not_used", variables=list(_not_used))


def exit_with(error: SettingsError) -> NoReturn:
    sys.exit(f"chargehand: {error}")
