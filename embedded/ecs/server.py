"""The embedded ECS as one server: Amazon's API, the scheduler, and the knobs under /_chargehand."""

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
from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from moto.core.utils import convert_to_flask_response
from werkzeug.serving import LISTEN_QUEUE, WSGIRequestHandler, make_server

from embedded.ecs.api.clusters import ClustersApi
from embedded.ecs.api.dispatch import FleetResponse
from embedded.ecs.authentication import HEALTH_PATH, Credentials, OwnersOnly
from embedded.ecs.faults.rules import KINDS, Faults, FaultyApi, InvalidRule, aws_error, parse_rules
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
    state_dir: Path
    credentials: Credentials  #: what a caller must prove to have
    names: tuple[str, ...] = ()  #: by which clients reach us, beside `host` and loopback's
    host: str = "127.0.0.1"
    port: int = 0
    region: str = "us-east-1"
    cluster: str = "chargehand"
    log_group: str = "/chargehand/chargers"
    options: Options = field(default_factory=Options)


class EmbeddedEcs:
    """Runs from construction to `close()`; tasks of an earlier run that was killed are ended first."""

    def __init__(self, settings: Settings, ended: Callable[[], None]) -> None:
        """`ended` is called when the scheduler ends, by itself or by `close()`."""
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = lock_alone(settings.state_dir / "lock")
        close_to_others(settings.state_dir)
        allow_many_tasks()
        records = settings.state_dir / "processes"
        end_orphans(records)
        volumes = settings.state_dir.resolve() / "volumes"
        shutil.rmtree(volumes, ignore_errors=True)  # of tasks that no longer run
        self._store = Store(settings.state_dir / "state.sqlite")
        fleet = Fleet(self._store, settings.region)
        logs = FleetLogs(settings.region, ACCOUNT_ID)
        for name in {*fleet.log_groups, settings.log_group}:
            logs.ensure_log_group(name)
        logs.changed = fleet.keep_log_groups
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
        self._api = FaultyApi(app, faults, fleet.service_of_task)
        with listen(settings.host, settings.port) as listener:
            self._server = make_server(
                settings.host,
                settings.port,
                OwnersOnly(self._api, settings.credentials, (settings.host, *settings.names)),
                fd=listener.fileno(),
                threaded=True,
                request_handler=QuietHandler,
            )
        self.url = f"http://{settings.host}:{self._server.port}"
        self._scheduler.start()
        self._serving = threading.Thread(target=self._server.serve_forever, args=(STOP_POLL_S,), name="http")
        self._serving.start()

    def close(self) -> bool:
        """No more calls, then no more tasks; what should run is remembered. Whether all went well."""
        self._server.shutdown()
        self._serving.join()
        self._api.close()
        self._server.server_close()
        self._scheduler.stop()
        self._containers.close()
        self._store.close()
        self._lock.close()
        return not self._scheduler.failed


class MotoRequest(moto.core.request.Request, flask.Request):
    """What moto's responses read. Its own server has the same class, but that asks for 22 more packages."""

    from_wsgi_server = True


class QuietHandler(WSGIRequestHandler):
    """Calls are shown by /_chargehand/calls instead of a line each."""

    def log_request(self, *args: object) -> None:
        pass

    def connection_dropped(self, *args: object) -> None:
        """A fault rule cut it: without this the client could wait for more."""
        self.close_connection = True


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError. werkzeug's own attempt would print several lines and end the process."""
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
    """Held until it is closed, or this process ends. Raises OSError if another one holds it."""
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise OSError(f"{path.parent} is in use by another embedded ECS") from None
    return lock


def allow_many_tasks() -> None:
    """Two file descriptors a task: take all that the system grants."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def create_app(fleet: Fleet, logs: FleetLogs, faults: Faults, pids: Callable[[], dict[str, int]]) -> Flask:
    app = Flask("embedded.ecs", static_folder=None)
    app.request_class = MotoRequest
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

    @app.get(HEALTH_PATH)
    def health() -> ResponseReturnValue:
        return jsonify(status="ok")

    @app.get("/_chargehand/tasks")
    def tasks() -> ResponseReturnValue:
        """Unfinished tasks with their process, for who wants to kill one."""
        running = pids()
        with fleet.change():
            shown = [
                {
                    "task": task.arn,
                    "service": task.service_name,
                    "status": task.last_status,
                    "pid": running.get(task.id),
                }
                for task in fleet.tasks.values()
                if task.last_status != "STOPPED"
            ]
        return jsonify(shown)

    @app.get("/_chargehand/calls")
    def calls() -> ResponseReturnValue:
        after = request.args.get("after", 0, int)
        return jsonify([call for call in list(faults.calls) if call["number"] > after])

    @app.delete("/_chargehand/calls")
    def forget_calls() -> ResponseReturnValue:
        faults.calls.clear()
        return "", 204

    @app.get("/_chargehand/faults")
    def show_faults() -> ResponseReturnValue:
        return jsonify(rules=faults.show(), kinds=KINDS)

    @app.put("/_chargehand/faults")
    def set_faults() -> ResponseReturnValue:
        body = request.get_json(force=True)
        try:
            faults.replace(parse_rules(body))
        except InvalidRule as error:
            return jsonify(detail=str(error)), 422
        return show_faults()

    @app.delete("/_chargehand/faults")
    def clear_faults() -> ResponseReturnValue:
        faults.replace([])
        return "", 204

    return app
