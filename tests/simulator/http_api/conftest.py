"""The vendor's client, and the charger and the CSMS that it works with."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from ocpplab_simulator import AsyncOcpplabSimulator, OcpplabSimulator
from ocpplab_simulator.core.api_error import ApiError
from ocpplab_simulator.core.request_options import RequestOptions

from simulator.http_api.door import open_http_api
from tests.simulator.talk import Talk, open_talk
from tests.support.csms import Payload
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_until_async


class Vendor:
    """Calls the methods of the vendor's client, the synchronous or the asynchronous one."""

    def __init__(self, talk: Talk, client: OcpplabSimulator | AsyncOcpplabSimulator) -> None:
        self.talk = talk
        self._client = client

    async def call(self, method: str, **arguments: Any) -> Any:
        """`connector.plug_connector`, for example."""
        group, _, name = method.partition(".")
        function = getattr(getattr(self._client, group), name)
        if inspect.iscoroutinefunction(function):
            return await function(**arguments)
        return await asyncio.to_thread(function, **arguments)

    async def refusal(self, method: str, **arguments: Any) -> tuple[int | None, Any]:
        """The status and the body of a call that the charger refuses. The client repeats a 503, and this does not."""
        once: RequestOptions = {"max_retries": 0}
        with pytest.raises(ApiError) as refused:
            await self.call(method, request_options=once, **arguments)
        return refused.value.status_code, refused.value.body

    async def charging_state(self, state: str) -> None:
        """Waits until the CSMS has a message with this state."""
        if self.talk.is_16:
            await self.talk.status(state)
        else:
            await self.talk.link.next(
                "TransactionEvent", lambda event: event["transaction_info"].get("charging_state") == state
            )

    async def transaction(self, kind: str) -> Payload:
        """The next call about the start or the end of a transaction: kind is `Started` or `Ended`."""
        if not self.talk.is_16:
            return await self.talk.event(kind)
        return await self.talk.link.next({"Started": "StartTransaction", "Ended": "StopTransaction"}[kind])

    async def start(self) -> None:
        """Starts a transaction at connector 1, and drops the calls about it."""
        await self.talk.start()
        await wait_until_async(lambda: not self.talk.model.delivery.outbox.has_undelivered())
        self.talk.link.calls.clear()


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
async def vendor(request: pytest.FixtureRequest, version: str) -> AsyncIterator[Vendor]:
    """Of a charger with two connectors that a CSMS has accepted; the marker `charger` sets its environment."""
    marker = request.node.get_closest_marker("charger")
    async with (
        open_talk(version, http_port=0, **(marker.kwargs if marker else {})) as talk,
        open_http_api(talk.model) as url,
        httpx.AsyncClient() as asynchronous,
    ):
        with httpx.Client(**PLAIN_HTTP) as synchronous:
            if request.param == "sync":
                yield Vendor(talk, OcpplabSimulator(base_url=url, httpx_client=synchronous))
            else:
                yield Vendor(talk, AsyncOcpplabSimulator(base_url=url, httpx_client=asynchronous))
