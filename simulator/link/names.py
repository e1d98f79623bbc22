"""Resolves names without delaying the end of the process."""

import asyncio
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread

Addresses = list[str]

#: How long an answer serves others. A thousand chargers that connect within seconds need no thousand threads.
SHARED_S = 1.0

#: The lookups that run, or have just ended, by host and port; every charger of the process that needs one waits for the same.
_running: dict[tuple[str, int], Future[Addresses]] = {}


async def resolve(host: str, port: int) -> Addresses:
    """The addresses of a name, without doubles. Raises OSError, or UnicodeError for a name that cannot be.

    The event loop's own `getaddrinfo` holds up the end of the process until the resolver gives up, often for 20 s.
    """
    with suppress(ValueError):
        return [str(ip_address(host))]
    key = (host, port)
    lookup = _running.get(key)
    if lookup is None:
        lookup = _running[key] = Future()
        lookup.set_running_or_notify_cancel()  # a charger that no longer waits does not cancel it for the others
        try:
            Thread(target=_run_lookup, args=(host, port, lookup), daemon=True).start()
        except RuntimeError as error:  # no thread is left
            del _running[key]
            raise OSError(str(error)) from error
    return await asyncio.wrap_future(lookup)


def _run_lookup(host: str, port: int, lookup: Future[Addresses]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    except Exception as error:  # raised where the result is awaited
        del _running[host, port]
        lookup.set_exception(error)
    else:
        lookup.set_result(addresses)
        time.sleep(SHARED_S)
        del _running[host, port]
