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
        '[2,"1","SetNetworkProfile",{"connectionData":{"apn":{"apn":"a","apnPassword":"SECRET","simPin":1234}}}]',
        '[2,"1","SetNetworkProfile",{"connectionData":{"vpn":{"server":"v","password":"SECRET","key":"SECRET"}}}]',
        '[2,"1","ChangeConfiguration",{"key":"Authorization\\u004bey","value":"SECRET"}]',
        '[2,"1","NotifyReport",{"reportData":[{"component":{"name":"SecurityCtrlr"},"variable":{"name":"basicauthpassword"},"variableAttribute":[{"type":"Actual","value":"SECRET"}]}]}]',
        '[2,"1","NotifyEvent",{"eventData":[{"variable":{"name":"BasicAuthPassword"},"actualValue":"SECRET"}]}]',
        '[2,"1","ChangeConfiguration",{"value":["SECRET",12],"key":"AuthorizationKey"}]',
        '[2,"1","DataTransfer",{"data":{"configuration":{"SecurityCtrlr.BasicAuthPassword":"SECRET"}}}]',
        '[2,"1","DataTransfer",{"data":"{\\"configuration\\":{\\"AuthorizationKey\\":\\"SECRET\\"}}"}]',
    ],
)
def test_a_password_in_a_frame_is_masked_and_the_frame_stays_json(frame: str) -> None:
    log, lines = lines_of()

    log.frame("csms_to_cp", "X", frame)

    assert "SEC" not in lines[0]["message"]
    assert "1234" not in lines[0]["message"]
    assert "***" in json.dumps(json.loads(lines[0]["message"]))


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET',
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET\\',
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET"}',
        '[2,"1","SetNetworkProfile",{"connectionData":{"vpn":{"password":"SECRET","key":"SECRET"}}}',
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET"},' + "[" * 100_000,
    ],
)
def test_a_password_in_a_frame_that_is_not_json_is_masked(frame: str) -> None:
    log, lines = lines_of()

    log.frame("csms_to_cp", "X", frame)

    assert "SEC" not in lines[0]["message"]


@pytest.mark.parametrize(
    "frame",
    [
        '[3,"1",{"configurationKey":[{"key":"HeartbeatInterval","value":"300"},{"key":"AuthorizationKey"}]}]',
        '[2,"1","NotifyReport",{"reportData":[{"variable":{"name":"BasicAuthPassword"}},{"variable":{"name":"Interval"},"variableAttribute":[{"value":"300"}]}]}]',
        '[2, "1", "GetConfiguration", {"key": ["AuthorizationKey"]}]',
    ],
)
def test_all_other_values_of_a_frame_that_names_the_password_stay(frame: str) -> None:
    log, lines = lines_of()

    log.frame("cp_to_csms", "X", frame)

    assert lines[0]["message"] == frame


KEY = "4f43415f4f4354545f61646d696e5f74657374"  # the bytes of OCA_OCTT_admin_test


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("p/ss wörd!", "p/ss wörd!"),
        ("p/ss wörd!", "ws://CP-1:p%2Fss%20w%C3%B6rd%21@csms"),
        ("p/ss wörd!", r'{"data":"p/ss w\u00f6rd!"}'),
        ("p/ss wörd!", repr("p/ss wörd!".encode())),
        ('quo"te\\d', r'{"data":"quo\"te\\d"}'),
        (KEY, KEY.upper()),
        (KEY.upper(), KEY),
        (KEY, "CP-1:OCA_OCTT_admin_test"),
    ],
)
def test_a_password_is_masked_in_whatever_way_it_is_written(secret: str, text: str) -> None:
    log, lines = lines_of(secret=secret)

    log.remark("warning", text)

    assert "***" in lines[0]["message"]
    assert not any(part in lines[0]["message"] for part in ("ss w", "w%C3", "quo", "OCA", "4f43", "4F43"))


def test_a_long_frame_is_cut_and_says_so() -> None:
    log, lines = lines_of()

    log.frame("csms_to_cp", "X", "ä" * 100_000)
    log.frame("csms_to_cp", "X", "ä" * 8192)

    assert lines[0]["message"] == "ä" * 8192 + "... [cut: 200000 bytes]"
    assert lines[1]["message"] == "ä" * 8192


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
