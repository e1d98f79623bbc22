"""Applies the fault rules to API calls, and records each call."""

import io
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from embedded.ecs.errors import JSON_TYPE, aws_error
from embedded.ecs.faults.rules import Faults, Rule
from embedded.ecs.faults.stale_reads import CHANGES, READS, History

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class FaultMiddleware:
    """WSGI middleware. Calls without an X-Amz-Target header pass unchanged."""

    def __init__(
        self, app: "WSGIApplication", faults: Faults, service_of_task: Callable[[str], str | None]
    ) -> None:
        self._app = app
        self._faults = faults
        self._service_of_task = service_of_task
        self._history = History()
        self._numbers = itertools.count(1)
        self._closed = threading.Event()

    def close(self) -> None:
        """Delayed calls are dropped."""
        self._closed.set()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET")
        if target is None:
            return self._app(environ, start_response)
        action = target.rsplit(".", 1)[-1]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        names = self._names_in(body)
        rules = self._faults.for_call(action, names)
        call: dict[str, Any] = {
            "number": next(self._numbers),
            "time": time.time(),
            "action": action,
            "services": names,
            "faults": list(rules),
            "status": None,
            "error": None,
            "duration_s": None,
        }
        self._faults.calls.append(call)
        try:
            answer = self._refuse(environ, body, rules)
            if answer is None:
                answer = self._apply_and_spoil(environ, body, rules, action, names)
        except ConnectionAbortedError:
            call["error"] = "connection cut"
            raise  # the server drops the connection
        finally:
            call["duration_s"] = round(time.time() - call["time"], 6)
        call["status"], call["error"] = answer.status_code, error_of(answer)
        return answer(environ, start_response)

    def _refuse(self, environ: "WSGIEnvironment", body: bytes, rules: dict[str, Rule]) -> Response | None:
        """The error answer of a call that is not applied now; None to apply it. Raises ConnectionAbortedError."""
        if "delay" in rules and self._closed.wait(rules["delay"].seconds):
            raise ConnectionAbortedError("the server stops")
        if "quotas" in rules or "throttle" in rules:
            return throttled()
        if "error" in rules:
            return failed(rules["error"].status)
        if "cut" in rules:
            raise ConnectionAbortedError("cut by a rule")
        if "ghost" in rules:
            return self._apply_later(environ, body, rules["ghost"])
        return None

    def _apply_later(self, environ: "WSGIEnvironment", body: bytes, rule: Rule) -> Response:
        def apply() -> None:
            if not self._closed.wait(rule.seconds):
                self._apply(environ, body)

        threading.Thread(target=apply, daemon=True).start()
        if rule.answer == "cut":
            raise ConnectionAbortedError("cut by a rule")
        return failed(rule.status)

    def _apply_and_spoil(
        self, environ: "WSGIEnvironment", body: bytes, rules: dict[str, Rule], action: str, names: list[str]
    ) -> Response:
        """Raises ConnectionAbortedError."""
        if "stale" in rules and action in CHANGES:
            self._history.record(names, body, partial(self._call, environ))
        if "stale" in rules and action in READS:
            answer = self._apply(environ, body)
            shown = orjson.loads(answer.data)
            if answer.status_code == 200:
                self._history.rewind(action, names, shown, rules["stale"].seconds)
            answer = Response(orjson.dumps(shown), status=answer.status_code, content_type=JSON_TYPE)
        elif "missing" in rules:
            answer = self._describe_half(environ, body, rules["missing"])
        else:
            answer = self._apply(environ, body)
        if "apply_then_delay" in rules:
            self._closed.wait(rules["apply_then_delay"].seconds)
        if "apply_then_cut" in rules:
            raise ConnectionAbortedError("cut by a rule")
        if "truncated" in rules:
            answer = Response(answer.data[: len(answer.data) // 2], content_type=JSON_TYPE)
        if "empty" in rules:
            answer = Response(b"{}", content_type=JSON_TYPE)
        return answer

    def _call(self, environ: "WSGIEnvironment", action: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to another action, sent as the caller of `environ`."""
        target = environ["HTTP_X_AMZ_TARGET"].rpartition(".")[0]
        answer = self._apply(environ | {"HTTP_X_AMZ_TARGET": f"{target}.{action}"}, orjson.dumps(request))
        shown: dict[str, Any] = orjson.loads(answer.data)
        return shown

    def _apply(self, environ: "WSGIEnvironment", body: bytes) -> Response:
        request = environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        chunks, status, headers = run_wsgi_app(self._app, request, buffered=True)
        return Response(b"".join(chunks), status=status, headers=headers)

    def _describe_half(self, environ: "WSGIEnvironment", body: bytes, rule: Rule) -> Response:
        request = orjson.loads(body)
        names = request.get("services", [])
        missing = rule.random.sample(names, -(-len(names) // 2))
        kept = [name for name in names if name not in missing]
        failures = [{"arn": name, "reason": "MISSING"} for name in missing]
        if not kept:
            return Response(orjson.dumps({"services": [], "failures": failures}), content_type=JSON_TYPE)
        answer = self._apply(environ, orjson.dumps(request | {"services": kept}))
        shown = orjson.loads(answer.data)
        if answer.status_code == 200:
            shown["failures"] += failures
        return Response(orjson.dumps(shown), status=answer.status_code, content_type=JSON_TYPE)

    def _names_in(self, body: bytes) -> list[str]:
        """The services of a call; without one, the family of its task definition."""
        try:
            request = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            return []
        if not isinstance(request, dict):
            return []
        found = [request.get("serviceName"), request.get("service"), *(request.get("services") or [])]
        tasks = [request.get("task"), *(request.get("tasks") or [])]
        found += [self._service_of_task(task) for task in tasks if isinstance(task, str)]
        if not any(found):
            family = (
                request.get("family") or request.get("familyPrefix") or request.get("taskDefinition") or ""
            )
            found = [str(family).rsplit("/", 1)[-1].split(":")[0]]
        return [name.rsplit("/", 1)[-1] for name in found if isinstance(name, str) and name]


def throttled() -> Response:
    """ECS's answer to a call above a quota."""
    return aws_error(400, "ThrottlingException", "Rate exceeded")


def failed(status: int) -> Response:
    """ECS's answer when the fault is its own."""
    return aws_error(status, "ServerException", "Service Unavailable. Please try again later.")


def error_of(answer: Response) -> str | None:
    """The AWS error code of an answer; None for a success."""
    if answer.status_code < 400:
        return None
    try:
        code = orjson.loads(answer.data).get("__type", "")
    except (orjson.JSONDecodeError, AttributeError):
        code = ""
    return str(code).rsplit("#", 1)[-1] or f"HTTP {answer.status_code}"
