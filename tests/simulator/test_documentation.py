"""docs/ocpp.md and docs/ocpp-messages.md list every message, variable, reason, action and setting, and no other."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import simulator.settings
from simulator.actions.data_transfer import ALIASES
from simulator.actions.table import TABLE
from simulator.charge_point.charge_point import ChargePoint
from simulator.configuration import OPTIONS
from simulator.lifecycle import load_kind
from simulator.link import schemas
from simulator.v16.charge_point import ChargePoint16
from simulator.v201.charge_point import ChargePoint201
from simulator.versions import VERSIONS, Version
from tests.support.csms import ANSWERS

ROOT = Path(simulator.settings.__file__).parent
TEXT = "".join((ROOT.parent / "docs" / page).read_text() for page in ("ocpp.md", "ocpp-messages.md"))


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
    assert from_charger - {"DataTransfer"} == sent_by(version)


def sent_by(version: Version) -> set[str]:
    """All but DataTransfer, which goes both ways."""
    source = source_of("v16" if version.name == "OCPP1.6" else "v201", "charge_point")
    sendable = {name for name in ANSWERS[version.subprotocol] if schemas.is_known_action(version, name)}
    return {name for name in sendable if re.search(rf'\("?{name}"|"{name}",', source)} - {"DataTransfer"}


@dataclass
class Feature:
    name: str
    cells: dict[str, str]  #: by version
    tests: list[str]

    def has(self, version: str) -> bool:
        return bool(self.cells[version]) and not self.cells[version].startswith("no")


def features() -> list[Feature]:
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in section("Features, version by version").splitlines()
        if row.startswith("| ") and "---" not in row
    ]
    return [
        Feature(name, {"OCPP1.6": in_16, "OCPP2.0.1": in_201}, re.findall(r"`(test_\w+)`", tests))
        for name, in_16, in_201, tests in rows[1:]
    ]


def test_every_feature_has_a_test() -> None:
    there = {
        name
        for file in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }

    assert {test for feature in features() for test in feature.tests} - there == set()
    assert [each.name for each in features() if any(map(each.has, each.cells)) and not each.tests] == []


@pytest.mark.parametrize("name", VERSIONS)
def test_every_message_is_in_a_feature_of_its_version_and_no_other(name: str) -> None:
    version = VERSIONS[name]
    supported = load_kind(version).handlers.keys() | sent_by(version)
    named: dict[bool, set[str]] = {True: set(), False: set()}
    for feature in features():
        named[feature.has(name)] |= set(re.findall(r"`(\w+)`", feature.cells[name]))

    assert named[True] == supported
    assert named[False] & supported == set()
    assert {each for each in named[False] if not schemas.is_known_action(version, each)} == set()


#: The sections of OCPP 1.6 part 1 about messages, and the use cases of OCPP 2.0.1 part 2: the last of each block.
LAST_OF_BLOCK = {
    "OCPP1.6": {"4.": 10, "5.": 19},
    "OCPP2.0.1": dict(
        zip("ABCDEFGHIJKLMNOP", (5, 12, 16, 2, 15, 6, 5, 4, 6, 3, 17, 4, 6, 10, 6, 2), strict=True)
    ),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_every_use_case_is_in_a_feature(name: str) -> None:
    digits = "" if name == "OCPP1.6" else "02"
    listed: set[str] = set()
    for feature in features():
        cell = feature.cells[name]
        listed |= set(re.findall(r"\b(?:[45]\.|[A-P])\d+\b", cell))
        for block, first, last in re.findall(r"([A-P])(\d+) to \1(\d+)", cell):
            listed |= {f"{block}{number:02}" for number in range(int(first), int(last) + 1)}
    every = {
        f"{block}{number:{digits}}"
        for block, last in LAST_OF_BLOCK[name].items()
        for number in range(1, last + 1)
    }

    assert listed - {each for each in listed if each[0].isalpha() != (name == "OCPP2.0.1")} == every


def test_every_environment_variable_is_documented() -> None:
    sources = [(ROOT / name).read_text() for name in ("settings.py", "control/settings.py")]
    read = {name for source in sources for name in re.findall(r'"(CHARGER_\w+)"', source)}

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
    assert (
        set(re.findall(r"`(\w+)`", " ".join(first_cells(section("Drivers and cars")))))
        == ALIASES.keys() | TABLE.keys()
    )


def test_every_setting_is_documented_with_its_default() -> None:
    rows = section("Configuration")

    for option in OPTIONS:
        instance = f"/{option.instance}" if option.instance else ""
        name = option.key or f"{option.component}.{option.variable}{instance}"
        (row,) = (row for row in rows.splitlines() if f"`{name}`" in row and row.startswith("|"))
        assert not option.default or f"`{option.default}`" in row
        assert ("read only" in row) == (option.mutability == "ReadOnly")
