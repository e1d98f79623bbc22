"""What a log line looks like."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import logging, sys, structlog
from shared.startup.log_setup import configure_logging

configure_logging(log_format=sys.argv[1], log_level="INFO")
structlog.contextvars.bind_contextvars(request_id="request-7")
log = structlog.get_logger()
log.info("charger.stopped", charger_id="dep-1\\nforged: line \\x1b[31m")
log.debug("not.shown")
logging.getLogger("library").warning("%s is\\nslow", "it")
password = "hunter2"
try:
    raise ValueError("broken")
except ValueError:
    log.exception("request.failed")
"""


def _logged(log_format: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, log_format], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == ""
    return done.stderr


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in _logged("json").splitlines()]


def test_in_production_each_event_is_one_json_line(lines: list[dict[str, Any]]) -> None:
    assert [line["event"] for line in lines] == ["charger.stopped", "it is\nslow", "request.failed"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["charger_id"] == "dep-1\nforged: line \x1b[31m"


def test_what_was_bound_is_in_every_line_also_those_of_libraries(lines: list[dict[str, Any]]) -> None:
    assert {line["request_id"] for line in lines} == {"request-7"}
    assert lines[1]["logger"] == "library"


def test_a_traceback_has_no_local_variables(lines: list[dict[str, Any]]) -> None:
    (error,) = lines[2]["exception"]

    assert (error["exc_type"], error["exc_value"]) == ("ValueError", "broken")
    assert "hunter2" not in json.dumps(error)


def test_on_a_terminal_a_traceback_has_no_local_variables_either() -> None:
    output = _logged("console")

    assert "ValueError: broken" in output
    assert output.count("hunter2") == output.count('password = "hunter2"'), "the source line at most"


def test_on_a_terminal_nobody_can_forge_a_line() -> None:
    output = _logged("console")

    first = output.splitlines()[0]
    assert "charger.stopped" in first
    assert "dep-1␊forged: line ␛[31m" in first
    assert "\x1b[31m" not in output


def test_an_unknown_level_is_no_reason_to_be_silent() -> None:
    script = SCRIPT.replace('log_level="INFO"', 'log_level="CHATTY"')
    done = subprocess.run(
        [sys.executable, "-c", script, "json"], check=True, capture_output=True, text=True, timeout=30
    )

    assert "charger.stopped" in done.stderr
    assert logging.getLevelNamesMapping().get("CHATTY") is None
