"""The routes for probes, scrapers and browsers, without a token."""

from functools import cache
from importlib.metadata import version
from importlib.resources import files

from flask import Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST

from api.http import schemas
from api.http.document.operations import Access, Operations
from api.http.errors import RETRY_AFTER_S
from api.live.metrics import render_metrics
from api.resources import resources

operations = Operations("health", __name__, access=Access.PUBLIC, description="For probes and people.")

LANDING_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@operations.operation(
    "GET",
    "/health",
    answer=schemas.Health,
    errors=(500,),
)
def health_check() -> ResponseReturnValue:
    """Health check

    The process answers. Whether it can work is in /ready.
    """
    return {"status": "ok", "version": _version()}


@operations.operation(
    "GET",
    "/ready",
    answer=schemas.Ready,
    errors=(503,),
)
def readiness_check() -> ResponseReturnValue:
    """Readiness check

    503 while the database is unavailable, read-only, or has a schema older than this version.
    `broker` says whether a message can be published; if not, commands wait in the database and none fails.
    `maintenance` says whether workers observe, sweep and read logs on schedule; if not,
    this process works, but commands do not become final.
    """
    state = resources().readiness.state()
    broker = state.broker or "ok"
    if state.database is not None:
        body = {"detail": state.database, "broker": broker}
        return jsonify(body), 503, {"Retry-After": str(RETRY_AFTER_S)}
    return {"status": "ready", "broker": broker, "maintenance": state.maintenance or "ok"}


@operations.operation(
    "GET",
    "/metrics",
    errors=(500,),
    content_type="text/plain",
)
def metrics() -> Response:
    """Metrics

    In Prometheus' text format. No label names an organization or a charger.
    """
    body = render_metrics(resources().database_metrics, resources().gauges)
    return Response(body, content_type=CONTENT_TYPE_LATEST)


@operations.operation("GET", "/", content_type="text/html")
def landing_page() -> Response:
    """Landing page

    Links to the documentation, the OpenAPI document and the health check.
    """
    response = Response(_landing(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = LANDING_POLICY
    return response


@cache
def _version() -> str:
    return version("chargehand")


@cache
def _landing() -> bytes:
    return files("api").joinpath("static/index.html").read_bytes()
