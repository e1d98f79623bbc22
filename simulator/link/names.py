"""Resolves names without delaying the end of the process."""

import asyncio
import math
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread

Addresses = list[str]

#: How long an answer serves others. A thousand chargers that connect within seconds need no thousand threads.
SHARED_S = 1.0


class _Lookup:
    def __init__(self) -> None:
        self.addresses: Future[Addresses] = Future()
        self.addresses.set_running_or_notify_cancel()  # a charger that no longer waits does not cancel it for the others
        self.ended_s: float | None = None  #: None while it runs

    @property
    def is_over(self) -> bool:
        """Whether it serves nobody any more."""
        return self.ended_s is not None and time.monotonic() - self.ended_s >= SHARED_S


#: By host and port; every charger of the process that needs one waits for the same.
_lookups: dict[tuple[str, int], _Lookup] = {}


async def resolve(host: str, port: int) -> Addresses:
    """The addresses of a name, without doubles. Raises OSError, or UnicodeError for a name that cannot be.

    The event loop's own `getaddrinfo` holds up the end of the process until the resolver gives up, often for 20 s.
    """
    with suppress(ValueError):
        return [str(ip_address(host))]
    key = (host, port)
    lookup = _lookups.get(key)
    if lookup is None or lookup.is_over:
        for each in [each for each, known in _lookups.items() if known.is_over]:
            del _lookups[each]
        lookup = _lookups[key] = _Lookup()
        try:
            Thread(target=_run_lookup, args=(host, port, lookup), daemon=True).start()
        except RuntimeError as error:  # no thread is left
            del _lookups[key]
            raise OSError(str(error)) from error
    return await asyncio.wrap_future(lookup.addresses)


def _run_lookup(host: str, port: int, lookup: _Lookup) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    except Exception as error:  # raised where the result is awaited
        lookup.ended_s = -math.inf
        lookup.addresses.set_exception(error)
    else:
        lookup.ended_s = time.monotonic()
        lookup.addresses.set_result(addresses)
