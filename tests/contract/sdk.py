"""The official SDK in both of its forms."""

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import httpx
from ocpplab import AsyncOcpplabSDK, OcpplabSDK

ONE_TRY: Any = {"max_retries": 0}


class Sdk:
    """The SDK, or its asynchronous twin, behind one face."""

    def __init__(self, client: OcpplabSDK | AsyncOcpplabSDK) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()

    def __call__(self, method: str, *, resource: str = "chargers", **arguments: Any) -> Any:
        result = getattr(getattr(self._client, resource), method)(**arguments, request_options=ONE_TRY)
        return self._loop.run_until_complete(_awaited(result)) if inspect.isawaitable(result) else result

    def close(self) -> None:
        wrapped = self._client._client_wrapper.httpx_client.httpx_client
        if isinstance(wrapped, httpx.AsyncClient):
            self._loop.run_until_complete(wrapped.aclose())
        else:
            wrapped.close()
        self._loop.close()


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
