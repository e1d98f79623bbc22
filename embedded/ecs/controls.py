"""The routes under /_chargehand: running tasks, recorded calls and fault rules, for tests and benchmarks."""

from collections.abc import Callable

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from embedded.ecs.authentication import HEALTH_PATH
from embedded.ecs.faults.rules import KINDS, Faults, InvalidRule, parse_rules
from embedded.ecs.state.fleet import Fleet


def control_routes(fleet: Fleet, faults: Faults, pids: Callable[[], dict[str, int]]) -> Blueprint:
    """The health check and the controls. `pids` returns the process id of each running task, by task id."""
    routes = Blueprint("controls", __name__)

    @routes.get(HEALTH_PATH)
    def health() -> ResponseReturnValue:
        return jsonify(status="ok")

    @routes.get("/_chargehand/tasks")
    def tasks() -> ResponseReturnValue:
        """Unfinished tasks with their process ids."""
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

    add_call_routes(routes, faults)
    add_fault_routes(routes, faults)
    return routes


def add_call_routes(routes: Blueprint, faults: Faults) -> None:
    """The recorded calls."""

    @routes.get("/_chargehand/calls")
    def calls() -> ResponseReturnValue:
        after = request.args.get("after", 0, int)
        return jsonify([call for call in list(faults.calls) if call["number"] > after])

    @routes.delete("/_chargehand/calls")
    def clear_calls() -> ResponseReturnValue:
        faults.calls.clear()
        return "", 204


def add_fault_routes(routes: Blueprint, faults: Faults) -> None:
    """The fault rules."""

    @routes.get("/_chargehand/faults")
    def show_faults() -> ResponseReturnValue:
        return jsonify(rules=faults.show(), kinds=KINDS)

    @routes.put("/_chargehand/faults")
    def set_faults() -> ResponseReturnValue:
        body = request.get_json(force=True)
        try:
            faults.replace(parse_rules(body))
        except InvalidRule as error:
            return jsonify(detail=str(error)), 422
        return show_faults()

    @routes.delete("/_chargehand/faults")
    def clear_faults() -> ResponseReturnValue:
        faults.replace([])
        return "", 204
