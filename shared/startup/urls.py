"""A URL in a setting."""

from urllib.parse import urlsplit

from environs import Env

from shared.settings import SettingsError


def read_url(env: Env, name: str, *, schemes: tuple[str, ...], form: str) -> str:
    """The variable's URL; empty unless set. Raises SettingsError, which names the form.

    A URL with a user or a password is refused: settings are shown, and secrets have variables of their own.
    """
    url = env.str(name, "")
    if not url:
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or not url.isascii() or any(character <= " " for character in url):
        raise SettingsError(f"{name} must be of the form {form}")
    return url
