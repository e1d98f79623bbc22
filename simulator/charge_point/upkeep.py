"""What follows for an open connection when the CSMS changes its options."""

import asyncio
from typing import Never

from simulator.configuration import Options
from simulator.link.session import Session


class PasswordChanged(Exception):
    """Ends the session: the charger comes back with its new password."""


class Upkeep:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._ping_changed = asyncio.Event()
        self._password_changed = asyncio.Event()

    def apply_option(self, name: str) -> None:
        match name:
            case "ping_s":
                self._ping_changed.set()
            case "password" | "authorization_key":
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
