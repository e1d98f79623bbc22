"""A charger as it runs in production, over a link and with a CSMS: python -m simulator."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.process import Program, running
from link.process import Link
from shared.auth.control_tokens import ControlTokens
from tests.support.control_link import ControlRows
from tests.support.stack import PYTHON, RememberingCsms
from tests.support.waiting import wait_until


@pytest.fixture
def csms() -> Iterator[RememberingCsms]:
    with RememberingCsms() as csms:
        yield csms


@pytest.fixture
def charger_id(
    rows: ControlRows, link: Link, tokens: ControlTokens, csms: RememberingCsms, tmp_path: Path
) -> Iterator[str]:
    """A charger that its CSMS has accepted and that is connected to the link."""
    charger_id = rows.charger(ws_url=csms.url)
    variables = {
        "PATH": os.environ["PATH"],
        "CHARGER_IDENTITY": "CP-1",
        "CHARGER_WS_URL": csms.url,
        "CHARGER_ID": charger_id,
        "CHARGER_CONTROL_URL": link.url,
        "CHARGER_CONTROL_TOKEN": tokens.first_token(charger_id),
    }
    program = Program("charger", (PYTHON, "-m", "simulator"), env=variables)
    with running(program, tmp_path / "charger.log"):
        csms.wait_for_boot("CP-1", within_s=20)
        wait_until(lambda: rows.is_connected(charger_id))
        yield charger_id


def test_an_action_reaches_the_csms_and_its_result_the_row(
    rows: ControlRows, csms: RememberingCsms, charger_id: str
) -> None:
    plugged = rows.action(charger_id, "plug_connector", event={})
    started = rows.action(charger_id, "start_session", event={"id_tag": "TAG-1"})

    rows.wait_for(plugged, "applied")
    rows.wait_for(started, "applied")

    [session] = csms.open_now("CP-1")
    wait_until(lambda: "StartTransaction" in session.actions)


def test_what_the_charger_says_of_itself_is_in_its_row(rows: ControlRows, charger_id: str) -> None:
    rows.wait_for(rows.action(charger_id, "plug_connector", event={}), "applied")

    plugged = wait_until(lambda: [each for each in rows.report(charger_id).connectors if each["plugged"]])

    assert plugged[0]["status"] == "Preparing"
    report = rows.report(charger_id)
    assert report.csms is not None
    assert report.csms["state"] == "accepted"
    assert report.reported_at is not None
