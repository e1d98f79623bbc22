"""The table of options: any text that a CSMS sets is refused, or kept as a value that the option describes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.configuration import OPTIONS, Option, Options

PIECES = st.sampled_from(
    [
        "0",
        "1",
        "7",
        "-1",
        "1.5",
        "1e9",
        "\u0663",
        "\u00b2",
        "true",
        "FALSE",
        "RST",
        "0.RST",
        "",
        " ",
        ",",
        ".",
    ]
)
TEXTS = st.one_of(st.text(max_size=8), st.lists(PIECES, max_size=4).map("".join))


@given(option=st.sampled_from(OPTIONS), text=TEXTS, members=st.booleans(), data=st.data())
def test_a_value_that_is_accepted_fits_its_option_and_any_other_changes_nothing(
    option: Option, text: str, members: bool, data: st.DataObject
) -> None:
    if members and option.members:
        text = ",".join(data.draw(st.lists(st.sampled_from(option.members), max_size=4)))
    options = Options({}, {})
    before = options.text(option.name)

    status = options.change(option, text)

    value = options.text(option.name)
    if status == "Rejected":
        assert value == before
    else:
        check(option, value)
        assert options.change(option, value) == status
        assert options.text(option.name) == value


def check(option: Option, value: str) -> None:
    assert option.mutability != "ReadOnly"
    match option.kind:
        case "boolean":
            assert value in ("true", "false")
        case "integer" | "decimal":
            number = int(value) if option.kind == "integer" else float(value)
            assert (option.minimum or 0) <= number <= (option.maximum or number)
            assert re.fullmatch("[0-9.]+", value)
        case "MemberList" | "SequenceList":
            members = [each for each in value.split(",") if each]
            assert set(members) <= set(option.members)
            assert (option.minimum or 0) <= len(members) == len(set(members))
        case _:
            assert (option.minimum or 0) <= len(value) <= (option.maximum or len(value))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_default_is_a_value_of_its_option(option: Option) -> None:
    if option.mutability != "WriteOnly":
        options = Options({}, {})

        writable = option._replace(mutability="ReadWrite")

        assert options.change(writable, option.default) != "Rejected" or option.kind == "string"


def test_only_values_of_an_option_are_restored() -> None:
    """A number that is none would be a fault at its next use, after each start."""
    options = Options({}, {})

    options.restore({"heartbeat_s": "soon", "sample_s": "7", "network_priority": "", "no_option": "1"})

    assert options.changes == {"sample_s": "7"}
