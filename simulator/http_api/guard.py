"""Who may use the HTTP API: whoever has the token; without one, programs of this machine, and no page of a browser."""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from simulator.settings import Settings

#: Names of this machine in a Host header.
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.http_token.encode() if settings.http_token else None
        self._names = LOCAL_NAMES | {settings.http_host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._check_token(headers) if self._token else self._check_page(headers)
        await (refusal or self._app)(scope, receive, send)

    def _check_token(self, headers: Headers) -> Response | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip().encode("latin-1", "replace")
        if scheme.lower() == "bearer" and hmac.compare_digest(given, self._token or b""):
            return None
        return _refuse(
            401, "this charger takes a bearer token: CHARGER_HTTP_TOKEN", {"www-authenticate": "Bearer"}
        )

    def _check_page(self, headers: Headers) -> Response | None:
        """Refuses what a page of another site may send: a name that leads here (DNS rebinding), or a form (CSRF)."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if _name_of(host) not in self._names:
            return _refuse(403, "the Host header must name this machine, such as localhost")
        if origin is not None and origin != f"http://{host}":
            return _refuse(403, "a page of another site may not use this API")
        return None


def _name_of(host: str) -> str | None:
    """Without the port; None for what is no host."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _refuse(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)
