"""Opens the HTTP API of a charger that has a port for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module

from simulator.charge_point.charge_point import ChargePoint

Serve = Callable[[ChargePoint], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def open_http_api(charge_point: ChargePoint) -> AsyncIterator[str | None]:
    """Serves the API meanwhile; gives its URL, or None for a charger without it, which imports no web server.

    Raises BadSettings when the port cannot be used.
    """
    if charge_point.settings.http_port is None:
        yield None
        return
    serve: Serve = import_module("simulator.http_api.server").serve
    async with serve(charge_point) as url:
        yield url
