"""Runs the embedded ECS: an HTTP server with Amazon's API and the control routes, and the scheduler."""

import contextlib
import fcntl
import resource
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import flask
import moto.core.request
from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from moto.core.utils import convert_to_flask_response
from werkzeug.serving import LISTEN_QUEUE, BaseWSGIServer, WSGIRequestHandler, make_server

from embedded.ecs.api.clusters import ClustersApi
from embedded.ecs.api.dispatch import FleetResponse
from embedded.ecs.authentication import Authentication, Credentials
from embedded.ecs.controls import control_routes
from embedded.ecs.errors import aws_error
from embedded.ecs.faults.middleware import FaultMiddleware
from embedded.ecs.faults.rules import Faults
from embedded.ecs.logs import FleetLogs, FleetLogsResponse
from embedded.ecs.scheduling.containers import Containers, end_orphans
from embedded.ecs.scheduling.scheduler import Options, Scheduler
from embedded.ecs.state.fleet import ACCOUNT_ID, Fleet
from embedded.ecs.state.store import Store
from embedded.secret_file import close_to_others

ECS_TARGET = "AmazonEC2ContainerServiceV20141113"
LOGS_TARGET = "Logs_20140328"
STOP_POLL_S = 0.1  # how soon the HTTP server notices that it should stop


@dataclass(frozen=True)
class Settings:
    """How an embedded ECS runs. The cluster and the log group are created at the start."""

    state_dir: Path
    credentials: Credentials  #: that callers must have
    names: tuple[str, ...] = ()  #: host names that clients use, in addition to `host` and loopback's
    host: str = "127.0.0.1"
    port: int = 0
    region: str = "us-east-1"
    cluster: str = "chargehand"
    log_group: str = "/chargehand/chargers"
    options: Options = field(default_factory=Options)


class EmbeddedEcs:
    """Runs from construction until `close()`. First ends the tasks that a killed run left behind."""

    def __init__(self, settings: Settings, ended: Callable[[], None]) -> None:
        """Raises OSError. `ended` is called when the scheduler ends, because of `close()` or of an error."""
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = lock_alone(settings.state_dir / "lock")
        close_to_others(settings.state_dir)
        allow_many_tasks()
        records = settings.state_dir / "processes"
        end_orphans(records)
        volumes = settings.state_dir.resolve() / "volumes"
        shutil.rmtree(volumes, ignore_errors=True)  # their tasks do not run any more
        self._store = Store(settings.state_dir / "state.sqlite")
        fleet = Fleet(self._store, settings.region)
        logs = create_logs(fleet, settings)
        with fleet.change():
            ClustersApi(fleet).create_cluster({"clusterName": settings.cluster})
        faults = Faults()
        self._containers = Containers(records)
        self._scheduler = Scheduler(
            fleet=fleet,
            logs=logs,
            containers=self._containers,
            faults=faults,
            options=settings.options,
            volumes=volumes,
            ended=ended,
        )
        app = create_app(fleet, logs, faults, self._containers.pids)
        self._api = FaultMiddleware(app, faults, fleet.service_of_task)
        names = (settings.host, *settings.names)
        self._server = create_http_server(settings, Authentication(self._api, settings.credentials, names))
        self.url = f"http://{settings.host}:{self._server.port}"
        self._scheduler.start()
        self._serving = threading.Thread(target=self._server.serve_forever, args=(STOP_POLL_S,), name="http")
        self._serving.start()

    def close(self) -> bool:
        """Stop answering calls, then stop the tasks; the next run starts them again. Returns False if the scheduler failed."""
        self._server.shutdown()
        self._serving.join()
        self._api.close()
        self._server.server_close()
        self._scheduler.stop()
        self._containers.close()
        self._store.close()
        self._lock.close()
        return not self._scheduler.failed


def create_logs(fleet: Fleet, settings: Settings) -> FleetLogs:
    """CloudWatch Logs with the groups of the earlier run and of the settings."""
    logs = FleetLogs(settings.region, ACCOUNT_ID)
    for name in {*fleet.log_groups, settings.log_group}:
        logs.ensure_log_group(name)
    logs.changed = fleet.keep_log_groups
    return logs


def create_http_server(settings: Settings, app: Authentication) -> BaseWSGIServer:
    """A server that listens, with a thread per request. Raises OSError."""
    with listen(settings.host, settings.port) as listener:
        return make_server(
            settings.host,
            settings.port,
            app,
            fd=listener.fileno(),
            threaded=True,
            request_handler=QuietHandler,
        )


class MotoRequest(moto.core.request.Request, flask.Request):
    """The request class that moto reads. moto's own is the same, but its module needs 22 more packages."""

    from_wsgi_server = True


class QuietHandler(WSGIRequestHandler):
    """Prints no line per call: /_chargehand/calls shows them."""

    def log_request(self, *args: object) -> None:
        pass

    def connection_dropped(self, *args: object) -> None:
        """Close the connection that a fault rule cut, so that the client does not wait for more."""
        self.close_connection = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError; werkzeug's own would print several lines and end the process."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(LISTEN_QUEUE)
    except OSError as error:
        listener.close()
        raise OSError(f"{host}:{port}: {error.strerror}") from error
    return listener


def lock_alone(path: Path) -> IO[str]:
    """Take the lock until the file is closed or this process ends. Raises OSError if another process has it."""
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise OSError(f"{path.parent} is in use by another embedded ECS") from None
    return lock


def allow_many_tasks() -> None:
    """Raise the limit of open files as far as the system allows: each task needs two."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def create_app(fleet: Fleet, logs: FleetLogs, faults: Faults, pids: Callable[[], dict[str, int]]) -> Flask:
    """Amazon's API at /, and the control routes. `pids` returns the process id of each running task."""
    app = Flask("embedded.ecs", static_folder=None)
    app.request_class = MotoRequest
    app.register_blueprint(control_routes(fleet, faults, pids))
    answer = {
        ECS_TARGET: convert_to_flask_response(FleetResponse.bound_to(fleet)),
        LOGS_TARGET: convert_to_flask_response(FleetLogsResponse.bound_to(logs)),
    }

    @app.post("/")
    def call() -> ResponseReturnValue:
        target = request.headers.get("X-Amz-Target", "").rpartition(".")[0]
        if target not in answer:
            return aws_error(
                400, "UnknownOperationException", f"Neither Amazon ECS nor CloudWatch Logs: {target!r}"
            )
        response: Response = answer[target]()
        return response

    @app.errorhandler(NotImplementedError)
    def refuse(error: NotImplementedError) -> ResponseReturnValue:
        return aws_error(400, "UnsupportedFeatureException", str(error))

    return app
