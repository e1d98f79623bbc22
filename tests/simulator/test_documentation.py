"""docs/ocpp.md lists every message, variable, reason, action and setting, and no other."""

import re
from pathlib import Path

import pytest

import simulator.settings
from simulator.charge_point.actions import ACTIONS
from simulator.charge_point.charge_point import ChargePoint
from simulator.configuration import OPTIONS
from simulator.link import schemas
from simulator.v16.charge_point import ChargePoint16
from simulator.v201.charge_point import ChargePoint201
from simulator.versions import VERSIONS
from tests.support.csms import ANSWERS

ROOT = Path(simulator.settings.__file__).parent
TEXT = (ROOT.parent / "docs" / "ocpp.md").read_text()


def source_of(*folders: str) -> str:
    return "".join(path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.split(f"## {title}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    return [
        row.split("|")[1].strip() for row in text.splitlines() if row.startswith("|") and "---" not in row
    ]


@pytest.mark.parametrize(("title", "kind"), [("OCPP 1.6", ChargePoint16), ("OCPP 2.0.1", ChargePoint201)])
def test_every_message_has_its_row(title: str, kind: type[ChargePoint]) -> None:
    version = VERSIONS[title.replace(" ", "")]
    from_charger, from_csms = (
        {name for name in first_cells(part) if name != "message"}
        for part in section(f"{title}, message by message").split("From the CSMS:")
    )

    assert from_csms == kind.handlers.keys()
    source = source_of("v16" if kind is ChargePoint16 else "v201", "charge_point")
    sendable = {name for name in ANSWERS[version.subprotocol] if schemas.is_known_action(version, name)}
    assert from_charger - {"DataTransfer"} == {
        name for name in sendable if re.search(rf'\("?{name}"|"{name}",', source)
    } - {"DataTransfer"}


def test_every_environment_variable_is_documented() -> None:
    read = set(re.findall(r'"(CHARGER_\w+)"', (ROOT / "settings.py").read_text()))

    reported = set(re.findall(r"`(CHARGER_\w+)`", section("Environment")))

    assert reported == read | {"CHARGER_NAME", "CHARGER_LOCATION_NAME"}


def test_every_reason_is_documented() -> None:
    source = source_of("")
    given = set(re.findall(r'LinkError\(\s*"(\w+)"', source)) | set(re.findall(r'why = \("(\w+)"', source))
    given |= set(re.findall(r'connection\(\s*"\w+",\s*"(\w+)"', source))

    reported = set(
        re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\|.*\|(.*)\|.*\|$", section("Output"), re.MULTILINE)))
    )

    assert {reason for reason in reported if not reason.startswith("http_")} - {"reason"} == given


def test_every_action_is_documented() -> None:
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells(section("Drivers and cars"))))) == ACTIONS.keys()


def test_every_setting_is_documented_with_its_default() -> None:
    rows = section("Configuration")

    for option in OPTIONS:
        instance = f"/{option.instance}" if option.instance else ""
        name = option.key or f"{option.component}.{option.variable}{instance}"
        (row,) = (row for row in rows.splitlines() if f"`{name}`" in row and row.startswith("|"))
        assert not option.default or f"`{option.default}`" in row
        assert ("read only" in row) == (option.mutability == "ReadOnly")
