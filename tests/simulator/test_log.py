"""The lines that a charger prints."""

import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from simulator.log import EventLog, RemarkHandler
from tests.simulator.charger import environment


def lines_of(secret: str | None = None) -> tuple[EventLog, list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    return EventLog(lambda line: lines.append(json.loads(line)), secret), lines


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET"}]',
        '[2,"1","ChangeConfiguration",{"value" : "SEC\\"RET","key":"authorizationkey"}]',
        '[2,"1","SetVariables",{"setVariableData":[{"attributeValue":"SECRET","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]',
        '[2,"1","SetNetworkProfile",{"connectionData":{"basicAuthPassword":"SECRET"}}]',
    ],
)
def test_a_password_in_a_frame_is_masked_and_the_frame_stays_json(frame: str) -> None:
    log, lines = lines_of()

    log.frame("csms_to_cp", "X", frame)

    assert "SEC" not in lines[0]["message"]
    assert "***" in json.dumps(json.loads(lines[0]["message"]))


def test_the_charger_s_password_is_masked_in_texts_and_nowhere_else() -> None:
    log, lines = lines_of(secret="connected")

    log.connection("connected", None, "connected with connected")

    assert lines[0]["state"] == "connected"
    assert lines[0]["detail"] == "*** with ***"


def test_a_lone_surrogate_and_a_line_break_stay_within_one_line() -> None:
    written: list[str] = []
    log = EventLog(written.append)

    log.frame("csms_to_cp", "X", "a\nb\ud800\u2028c")

    assert len(written[0].encode("utf-8", "backslashreplace").splitlines()) == 1


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full"])
def test_a_charger_without_an_output_exits(redirection: str) -> None:
    command = f"exec {sys.executable} -m simulator {redirection}"

    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, **environment("ws://127.0.0.1:9", "OCPP1.6")},
        capture_output=True,
        timeout=10,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_library_s_warnings_are_remarks() -> None:
    log, lines = lines_of()
    logger = logging.Logger("websockets.client")
    logger.addHandler(RemarkHandler(log))

    logger.info("opened")
    logger.warning("slow by %d s", 3)
    logger.error("lost", exc_info=ConnectionResetError("gone"))

    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "websockets.client: slow by 3 s"),
        ("error", "websockets.client: lost: ConnectionResetError('gone')"),
    ]
