"""Makes the Flask app: its resources, routes and error handlers."""

from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider
from sqlalchemy.orm import sessionmaker
from uuid_utils import uuid7
from werkzeug.routing import BaseConverter

from api.http.browsers import allow_origins, compress_answers
from api.http.document.openapi import REQUEST_ID, make_document, register_docs
from api.http.errors import register_errors
from api.http.feed.render import JsonRenderer
from api.http.parsing import MAX_BODY_BYTES
from api.http.waits import mark_skipped_wait
from api.limits.open_rows import OpenQuota
from api.limits.pools import make_pools
from api.limits.rate_limit import RateLimit
from api.limits.reads import ReadSessions, report_sessions
from api.limits.slots import Slots
from api.live.batcher import Batcher
from api.live.feed import Feed
from api.live.hints import Hints
from api.live.job_streams import JobStreams
from api.live.metrics import Chargers, LogLag, Maintenance, OpenCommands, Rollout, count_requests
from api.live.operations import Operations
from api.live.publisher import Publisher
from api.live.readiness import Readiness
from api.live.service_metrics import ControlSessions, Hosts, Workers
from api.live.streams import Streams
from api.live.watcher import Watcher
from api.resources import Resources
from api.routes import (
    actions,
    catalog,
    chargers,
    commands,
    dashboard,
    events,
    feed,
    health,
    hosts,
    job_events,
    jobs,
    location_chargers,
    location_jobs,
    locations,
    logs,
    me,
    not_implemented,
    operations,
    reports,
    templates,
)
from shared.auth.tokens import TokenVerifier
from shared.database.engine import Sessions
from shared.models import Action, Command
from shared.sealing import Sealer
from shared.settings import Settings


def create_app(settings: Settings, *, publisher: Publisher | None = None) -> Flask:
    """The API. Opens no connection and starts no thread, so it can be made before a fork.

    Raises SettingsError when tokens cannot be verified safely, or a setting makes no sense.
    """
    app = Flask("api", static_folder=None)
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # a redirect would drop the body
    app.url_map.converters |= {
        "charger_id": _ChargerId,
        "action_id": _ActionId,
        "job_id": _JobId,
        "location_id": _LocationId,
        "host_id": _HostId,
        "slug": _Slug,
    }
    app.extensions["chargehand"] = _make_resources(app, settings, publisher)

    app.before_request(_start_request)
    count_requests(app)
    allow_origins(app, settings.cors_origins)
    compress_answers(app)
    app.after_request(mark_skipped_wait)
    app.after_request(_finish_response)

    document = make_document(app, converters=[_ChargerId, _ActionId, _JobId, _LocationId, _HostId, _Slug])
    for module in (
        chargers,
        commands,
        job_events,
        jobs,
        locations,
        location_jobs,
        location_chargers,
        reports,
        events,
        feed,
        logs,
        actions,
        catalog,
        templates,
        me,
        hosts,
        operations,
        health,
        dashboard,
    ):
        document.register_blueprint(module.operations)
    app.register_blueprint(dashboard.pages)
    app.register_blueprint(not_implemented.make_blueprint())
    register_docs(app, document)
    register_errors(app)
    return app


def _make_resources(app: Flask, settings: Settings, publisher: Publisher | None) -> Resources:
    pools = make_pools(settings.database_url, size=settings.database_pool_size)
    sessions = Sessions(pools.accepting)
    polls = sessionmaker(pools.polling, expire_on_commit=False)
    reads = ReadSessions(pools.reading, connections=pools.reading_size)
    stream_slots = Slots(settings.event_streams, settings.event_streams_per_organization)
    readiness = Readiness(pools.probing, settings.broker_url, settings.timing)
    streams = Streams(polls, stream_slots)
    renderer = JsonRenderer(app)
    return Resources(
        settings=settings,
        pools=pools,
        sessions=sessions,
        reads=reads,
        report_reads=report_sessions(pools.reading),
        database_metrics=(
            OpenCommands(reads),
            Chargers(reads),
            Maintenance(reads),
            Rollout(reads),
            LogLag(reads),
            Workers(reads),
            ControlSessions(reads),
            Hosts(reads),
        ),
        open_quota=OpenQuota(Command, polls, settings.open_commands_per_organization),
        action_quota=OpenQuota(Action, polls, settings.open_actions_per_organization),
        batcher=Batcher(pools.batching, sessions),
        publisher=publisher or Publisher(settings.broker_url, buffer_size=settings.publisher_buffer),
        hints=Hints(settings.redis_url),
        watcher=Watcher(polls, Slots(settings.waits, settings.waits_per_organization)),
        streams=streams,
        job_streams=JobStreams(polls, stream_slots),
        feed=Feed(polls, stream_slots, streams, renderer),
        renderer=renderer,
        stream_slots=stream_slots,
        sealer=Sealer(settings.encryption_keys),
        rate_limit=_make_rate_limit(settings),
        verifier=TokenVerifier(settings.tokens, embedded=settings.embedded),
        readiness=readiness,
        operations=Operations(
            sessionmaker(pools.reading, expire_on_commit=False), readiness, settings.timing
        ),
    )


def _make_rate_limit(settings: Settings) -> RateLimit | None:
    if not settings.rate_limit or not settings.redis_url:
        return None
    return RateLimit(settings.redis_url, settings.rate_limit)


def _start_request() -> None:
    """Give the request an id: the client's, if it has the form that can be logged and stored."""
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid7().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish_response(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


class _ChargerId(BaseConverter):
    """A text that cannot be a charger's id is an unknown route, without a query."""

    regex = "[A-Za-z0-9_-]{1,64}"


class _ActionId(BaseConverter):
    regex = "[0-9]{1,18}"


class _JobId(BaseConverter):
    regex = "[0-9]{1,18}"


class _LocationId(BaseConverter):
    """Any text that a charger's `location_id` may be, except for slashes: ids from before locations existed are free texts."""

    regex = r"[^/\x00-\x1f\x7f-\x9f]{1,128}"


class _HostId(BaseConverter):
    regex = "[A-Za-z0-9_-]{1,64}"


class _Slug(BaseConverter):
    regex = "[A-Za-z0-9._-]{1,100}"


class _Json(JSONProvider):
    """orjson: several times as fast as json, and strict."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json")
