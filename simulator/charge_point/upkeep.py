"""The password and the pings of a connection, and what happens to it when they or its settings change."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Never, TypeVar

from simulator.configuration import Options
from simulator.flag import Flag
from simulator.link.session import Ending, Session
from simulator.log import EventLog
from simulator.settings import Settings


class PasswordChanged(Ending):
    """Ends the session: the charger comes back with its new password."""


class SettingsChanged(Ending):
    """Ends the session, or the attempt: the charger comes back with its new settings."""


#: What a session has on its way may take so long to arrive, before new settings end it.
SETTLE_S = 1.0

Opened = TypeVar("Opened")


class Upkeep:
    def __init__(
        self, settings: Settings, options: Options, password_options: Iterable[str], log: EventLog
    ) -> None:
        """`password_options` may have the password; the first that has one counts."""
        self._settings = settings
        self._options = options
        self._password_options = tuple(password_options)
        self._log = log
        self._ping_changed = Flag()
        self._changed = Flag()
        self._ending: Ending = PasswordChanged()  #: of the session, when something has changed
        self._connect_now = Flag()
        self.hide_passwords()

    @property
    def password(self) -> bytes | None:
        """Of Basic authentication: the one that the CSMS set last, or else the one of the environment.

        1.6's key is in hexadecimal and sent as its bytes (security whitepaper, A01; TC_085_CS).
        """
        for name in self._password_options:
            if text := self._options.text(name):
                return bytes.fromhex(text) if name == "authorization_key" else text.encode()
        return self._settings.password_bytes

    @property
    def password_number(self) -> int:
        """Of the password in the settings."""
        return self._settings.password_number

    def recall_password_number(self, number: int) -> None:
        """Takes back what a CSMS has set, if the settings have had another password since."""
        if number != self.password_number:
            self._options.reset(*self._password_options)

    def hide_passwords(self) -> None:
        """From the log, also after the options were restored."""
        for secret in (self._settings.password, (self._settings.authorization_key or b"").hex()):
            self._log.hide(secret or "")
        for name in self._password_options:
            self._log.hide(self._options.text(name))

    def apply_option(self, name: str) -> None:
        match name:
            case "ping_s":
                self._ping_changed.set()
            case "password" | "authorization_key":
                self.hide_passwords()
                self._end(PasswordChanged())

    async def ping(self, session: Session) -> Never:
        """Pings at the option's interval, a change of which counts at once; 0: never. Raises ConnectionClosed."""
        while True:
            self._ping_changed.clear()
            try:
                async with asyncio.timeout(self._options.number("ping_s") or None):
                    await self._ping_changed.wait()
            except TimeoutError:
                await session.ping()

    def connect_again(self) -> None:
        """Ends the session, the attempt or the wait: the settings of the connection have changed."""
        self.hide_passwords()
        self._end(SettingsChanged())
        self.connect_now()

    def connect_now(self) -> None:
        """Ends the wait before the next attempt."""
        self._connect_now.set()

    async def wait_to_connect(self, delay_s: float) -> None:
        """Before the next attempt."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._connect_now.wait()

    def begin_attempt(self) -> None:
        """Before the settings of the next connection are read: what changes from now on ends it."""
        self._connect_now.clear()
        self._changed.clear()

    async def unless_changed(self, opening: Coroutine[Any, Any, Opened]) -> Opened:
        """What `opening` returns. Raises SettingsChanged as soon as the settings have changed."""
        attempt, change = asyncio.create_task(opening), asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait((attempt, change), return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done():
                raise self._ending
            return await attempt
        finally:
            change.cancel()
            attempt.cancel()

    async def watch_settings(self, session: Session) -> Never:
        """Raises PasswordChanged after the answer to the request has left, or SettingsChanged.

        The charger disconnects, and uses the new password (OCPP 2.0.1 and the security whitepaper of 1.6, A01; TC_073_CS).
        """
        await self._changed.wait()
        ending = self._ending
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S if isinstance(ending, SettingsChanged) else None):
                await session.settle()
        raise ending

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        self._changed.set()
