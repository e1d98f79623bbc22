"""The web application: a route for each action of the table, the landing page, and the health of the charger."""

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from simulator.actions.outcome import Outcome
from simulator.charge_point.charge_point import ChargePoint
from simulator.http_api.guard import Guard
from simulator.http_api.operations import OPERATIONS, Operation
from simulator.http_api.page import HEADERS, render_page
from simulator.http_api.parameters import BadRequest, read_event
from simulator.http_api.status import describe_health

#: Of a request.
MAX_BODY_BYTES = 256 * 1024

#: Seconds that an action may wait for its CSMS; the vendor's client waits 60 for the answer.
MAX_WAIT_S = 55.0

Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(charge_point: ChargePoint, closing: asyncio.Event) -> Starlette:
    """`closing` is set when the charger has ended: requests that still wait are then answered."""
    api = Api(charge_point, closing)
    return Starlette(
        routes=[
            Route("/", api.show_page, methods=["GET"]),
            Route("/health", api.show_health, methods=["GET"]),
            *(
                Route(operation.path, api.endpoint(operation), methods=[operation.method])
                for operation in OPERATIONS
            ),
        ],
        middleware=[Middleware(Guard, settings=charge_point.settings)],
        exception_handlers={HTTPException: _explain, BadRequest: _explain_fields},
    )


class Api:
    def __init__(self, charge_point: ChargePoint, closing: asyncio.Event) -> None:
        self._charge_point = charge_point
        self._closing = closing

    async def show_page(self, request: Request) -> Response:
        return HTMLResponse(render_page(self._charge_point, str(request.base_url)), headers=HEADERS)

    async def show_health(self, _: Request) -> Response:
        return JSONResponse(describe_health(self._charge_point))

    def endpoint(self, operation: Operation) -> Endpoint:
        async def answer(request: Request) -> Response:
            body = await _read_body(request) if operation.method == "POST" else b""
            event = operation.to_event(read_event(operation.fields, request.query_params, body))
            was_offline = not self._charge_point.reachable
            return _respond(operation, await self._perform(operation.action, event), was_offline=was_offline)

        return answer

    async def _perform(self, action: str, event: dict[str, Any]) -> Outcome:
        """An action whose client has gone goes on."""
        outcome = self._charge_point.actions.begin(action, event)
        if not isinstance(outcome, Future):
            return outcome
        end = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((outcome, end), timeout=MAX_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            end.cancel()
        if outcome.done():
            return outcome.result()
        why = "the charger was switched off" if self._closing.is_set() else f"{MAX_WAIT_S:g} s have passed"
        return Outcome("failed", f"the CSMS has not answered, and {why}")


async def _read_body(request: Request) -> bytes:
    """Raises HTTPException for one that is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"a body has at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _respond(operation: Operation, outcome: Outcome, *, was_offline: bool) -> Response:
    if outcome.status == "applied" or (operation.shows_verdict and outcome.result):
        return JSONResponse(outcome.result or {})
    reason = outcome.reason or outcome.status
    if was_offline and operation.needs_csms:
        return JSONResponse({"detail": reason}, 503)
    if outcome.status == "rejected" and operation.rejected_status != 422:
        return JSONResponse({"detail": reason}, operation.rejected_status)
    detail: dict[str, Any] = {"loc": [operation.path.strip("/")], "msg": reason, "type": outcome.status}
    return JSONResponse({"detail": [detail | ({"result": outcome.result} if outcome.result else {})]}, 422)


async def _explain(_: Request, error: Any) -> Response:
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _explain_fields(_: Request, error: Any) -> Response:
    return JSONResponse({"detail": [problem.describe() for problem in error.problems]}, 422)
