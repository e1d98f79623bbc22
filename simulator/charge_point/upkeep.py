"""The password and the pings of a connection, and what happens to it when the CSMS changes them."""

import asyncio
from collections.abc import Iterable
from typing import Never

from simulator.configuration import Options
from simulator.link.session import Ending, Session
from simulator.log import EventLog
from simulator.settings import Settings


class PasswordChanged(Ending):
    """Ends the session: the charger comes back with its new password."""


class Upkeep:
    def __init__(
        self, settings: Settings, options: Options, password_options: Iterable[str], log: EventLog
    ) -> None:
        """`password_options` may have the password; the first that has one counts."""
        self._settings = settings
        self._options = options
        self._password_options = tuple(password_options)
        self._log = log
        self._ping_changed = asyncio.Event()
        self._password_changed = asyncio.Event()

        self.hide_passwords()

    @property
    def password(self) -> bytes | None:
        """Of Basic authentication: the one that the CSMS set last, or else the one of the environment.

        1.6's key is in hexadecimal and sent as its bytes (security whitepaper, A01; TC_085_CS).
        """
        for name in self._password_options:
            if text := self._options.text(name):
                return bytes.fromhex(text) if name == "authorization_key" else text.encode()
        return self._settings.password.encode() if self._settings.password else None

    def hide_passwords(self) -> None:
        """From the log, also after the options were restored."""
        for name in self._password_options:
            self._log.hide(self._options.text(name))

    def apply_option(self, name: str) -> None:
        match name:
            case "ping_s":
                self._ping_changed.set()
            case "password" | "authorization_key":
                self.hide_passwords()
                self._password_changed.set()

    async def ping(self, session: Session) -> Never:
        """Pings at the option's interval, a change of which counts at once; 0: never. Raises ConnectionClosed."""
        while True:
            self._ping_changed.clear()
            try:
                async with asyncio.timeout(self._options.number("ping_s") or None):
                    await self._ping_changed.wait()
            except TimeoutError:
                await session.ping()

    async def watch_password(self, session: Session) -> Never:
        """Raises PasswordChanged after the answer to the request has left.

        The charger disconnects, and uses the new password (OCPP 2.0.1 and the security whitepaper of 1.6, A01; TC_073_CS).
        """
        self._password_changed.clear()
        await self._password_changed.wait()
        await session.settle()
        raise PasswordChanged
