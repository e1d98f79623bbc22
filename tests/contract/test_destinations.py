"""One rule in two places: what the API refuses when a URL is given, the charger refuses when it connects."""

import asyncio
import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.http.fields.ws_url import InvalidWsUrl, normalise_ws_url
from shared.destinations import BadRule, read_destinations
from simulator.destinations import OPEN
from simulator.link import names
from simulator.link.websocket import LinkError, open_link
from simulator.settings import BadSettings, read_settings

ROOT = Path(__file__).parents[2]
NOBODY = 9  #: a port on which nothing listens

#: Spellings of one private address, those that wrap it among them.
SPELLINGS_OF_10_0_0_5 = (
    "10.0.0.5",
    "10.0.0.5.",
    "10.5",
    "167772165",
    "0xa000005",
    "0x0a.0.0.5",
    "012.0.0.5",
    "[::ffff:10.0.0.5]",
    "[::FFFF:a00:5]",
    "[::10.0.0.5]",
    "[::ffff:0:10.0.0.5]",
    "[64:ff9b::10.0.0.5]",
    "[64:ff9b:1::10.0.0.5]",
    "[2002:a00:5::1]",
    "[2001:0:a00:5::1]",
    "[2001:0:808:808:0:0:f5ff:fffa]",
)

#: Allowed, denied, host, whether both refuse it.
CASES = [
    *(("", "private", host, True) for host in SPELLINGS_OF_10_0_0_5),
    *(("", "10.0.0.0/8", host, True) for host in SPELLINGS_OF_10_0_0_5),
    *(("", "", host, False) for host in ("10.0.0.5", "127.0.0.1", "[::1]", "[fd12::1]")),
    *(
        ("", "private", host, True)
        for host in (
            *("127.0.0.1", "127.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"),
            *("198.18.0.1", "240.0.0.1", "[::1]", "[fd12::1]", "[fec0::1]"),
        )
    ),
    *(
        ("", "private", host, False)
        for host in (
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "198.51.100.7",
            "[2001:db8::1]",
            "[2001:4860::8]",
        )
    ),
    # Nobody may connect there, whatever the operator allows.
    *(
        ("all", "", host, True)
        for host in (
            *("169.254.169.254", "2852039166", "169.254.169.254.", "[::ffff:169.254.170.2]", "0.0.0.0"),
            *(
                "[fd00:ec2::254]",
                "[fd00:ec2::23]",
                "[64:ff9b::a9fe:a9fe]",
                "[2002:a9fe:a9fe::1]",
                "224.0.0.1",
            ),
            *("255.255.255.255", "[::]", "[ff02::1]", "[fe80::1]"),
        )
    ),
    # What is allowed is excepted from what is denied.
    ("10.0.0.5", "private", "10.0.0.5", False),
    ("10.0.0.5", "private", "[::ffff:10.0.0.5]", False),
    ("10.0.0.5", "private", "10.0.0.6", True),
    ("10.0.0.0/24", "private", "10.0.0.200", False),
    ("10.0.0.0/24", "private", "10.0.1.1", True),
    ("[fd12::1]", "private", "[FD12:0::1]", False),
    # Without a list of what is denied, nothing else is allowed.
    ("198.51.100.0/24", "", "198.51.100.7", False),
    ("198.51.100.0/24", "", "203.0.113.1", True),
    ("198.51.100.0/24", "", "[2001:db8::1]", True),
    ("198.51.100.0/24", "", "[64:ff9b::198.51.100.7]", True),
]

#: Allowed, denied, host, the addresses of its name, whether the API refuses it, whether the charger does.
NAMED = [
    ("", "private", "csms.test", ["198.51.100.7"], False, False),
    ("", "private", "csms.test", ["10.0.0.5"], False, True),
    ("", "private", "csms.test", ["::ffff:10.0.0.5"], False, True),
    ("", "private", "csms.test", ["169.254.169.254"], False, True),
    ("", "private", "csms.test", ["fe80::1%eth0"], False, True),
    ("", "private", "csms.test", [], False, True),
    ("", "private", "localhost", ["127.0.0.1", "::1"], True, True),
    ("", "private", "LOCALHOST.", ["127.0.0.1", "::1"], True, True),
    ("", "private", "a.localhost", ["127.0.0.1"], True, True),
    ("localhost", "private", "localhost", ["127.0.0.1"], False, False),
    ("", "evil.test", "evil.test", ["198.51.100.7"], True, True),
    ("", "EVIL.test.", "evil.TEST", ["198.51.100.7"], True, True),
    ("", "evil.test", "evil.test.", ["198.51.100.7"], True, True),
    ("", "evil.test", "a.evil.test", ["198.51.100.7"], False, False),
    ("", "*.evil.test", "a.b.evil.test", ["198.51.100.7"], True, True),
    ("", "*.evil.test", "evil.test", ["198.51.100.7"], False, False),
    ("", "*.evil.test", "notevil.test", ["198.51.100.7"], False, False),
    ("", "xn--nxasmq6b.test", "XN--NXASMQ6B.test", ["198.51.100.7"], True, True),
    ("*.example.com", "", "csms.example.com", ["198.51.100.7"], False, False),
    ("*.example.com", "", "csms.example.com.", ["10.0.0.5"], False, False),
    ("*.example.com", "", "csms.example.com", ["169.254.169.254"], False, True),
    ("*.example.com", "", "csms.example.com.evil.test", ["198.51.100.7"], True, True),
    ("*.example.com", "", "example.org", ["198.51.100.7"], True, True),
    ("*.example.com", "", "198.51.100.7", ["198.51.100.7"], True, True),
    ("10.0.0.0/8", "", "csms.test", ["10.0.0.5"], False, False),
    ("10.0.0.0/8", "", "csms.test", ["198.51.100.7"], False, True),
]


@pytest.fixture(autouse=True)
def _every_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name leads elsewhere in the next test."""
    monkeypatch.setattr(names, "SHARED_S", 0)


def api_refuses(allow: str, deny: str, host: str) -> bool:
    try:
        normalise_ws_url(f"ws://{host}:{NOBODY}/ocpp", read_destinations(allow, deny))
    except InvalidWsUrl:
        return True
    return False


async def connect(url: str, allow: str = "", deny: str = "") -> LinkError:
    """Why the charger had no connection, from `open_link`."""
    settings = read_settings(
        {
            "CHARGER_IDENTITY": "CP-1",
            "CHARGER_WS_URL": url,
            "CHARGER_WS_URL_ALLOW": allow,
            "CHARGER_WS_URL_DENY": deny,
        }
    )
    with pytest.raises(LinkError) as failure:
        await open_link(settings, "ocpp1.6", None)
    return failure.value


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which a charger connects; nothing is there."""
    found: list[str] = []

    async def refuse(_: object, __: object, *, host: str, port: int, **___: object) -> None:
        found.append(host)
        raise ConnectionRefusedError(f"{host}:{port}")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
    return found


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Names lead to these addresses."""
    addresses: list[str] = []

    def getaddrinfo(_: str, port: int, **__: object) -> list[Any]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def use(these: list[str]) -> None:
        addresses[:] = these
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return use


def test_the_rule_is_the_same_file_in_both_places() -> None:
    """The charger is an image of its own and imports nothing of the others."""
    assert (ROOT / "shared/destinations.py").read_bytes() == (ROOT / "simulator/destinations.py").read_bytes()


@pytest.mark.parametrize(("allow", "deny", "host", "refused"), CASES)
def test_both_refuse_the_same_addresses_in_every_spelling(
    dialled: list[str], allow: str, deny: str, host: str, refused: bool
) -> None:
    failure = asyncio.run(connect(f"ws://{host}:{NOBODY}/ocpp", allow, deny))

    assert api_refuses(allow, deny, host) is refused
    assert (failure.reason, dialled == []) == (
        "address_forbidden" if refused else "connection_refused",
        refused,
    )


@pytest.mark.parametrize(("allow", "deny", "host", "addresses", "by_api", "by_charger"), NAMED)
def test_a_name_is_checked_by_itself_and_by_each_address_that_it_leads_to(  # noqa: PLR0917  # a table's row
    dialled: list[str],
    resolve: Callable[[list[str]], None],
    allow: str,
    deny: str,
    host: str,
    addresses: list[str],
    by_api: bool,
    by_charger: bool,
) -> None:
    """The API does not resolve names: it refuses what is certain, and the charger the rest."""
    resolve(addresses)

    failure = asyncio.run(connect(f"ws://{host}:{NOBODY}/ocpp", allow, deny))

    assert api_refuses(allow, deny, host) is by_api
    assert (failure.reason == "address_forbidden") is by_charger
    assert dialled == ([] if by_charger else addresses)


def test_of_several_addresses_only_those_that_are_allowed_are_connected_to(
    dialled: list[str], resolve: Callable[[list[str]], None]
) -> None:
    resolve(["10.0.0.5", "198.51.100.7", "::1", "2001:db8::7"])

    asyncio.run(connect("ws://csms.test/", deny="private"))

    assert dialled == ["198.51.100.7", "2001:db8::7"]


def test_a_name_that_leads_elsewhere_after_the_check_gains_nothing(
    dialled: list[str], resolve: Callable[[list[str]], None]
) -> None:
    """DNS rebinding: what was checked is what is connected to, and each reconnect is checked anew."""
    resolve(["198.51.100.7"])
    asyncio.run(connect("ws://csms.test/", deny="private"))
    resolve(["10.0.0.5"])
    failure = asyncio.run(connect("ws://csms.test/", deny="private"))

    assert failure.reason == "address_forbidden"
    assert dialled == ["198.51.100.7"]


def test_a_reason_says_nothing_of_the_network_where_the_operator_restricts_it(
    dialled: list[str], resolve: Callable[[list[str]], None]
) -> None:
    """A name that is not known and one that leads to a refused place look the same; addresses are not shown."""
    failures = []
    for addresses in ([], ["10.0.0.5"], ["169.254.169.254"]):
        resolve(addresses)
        failure = asyncio.run(connect("ws://wiki.corp.test/", deny="private"))
        failures.append((failure.reason, failure.detail))

    assert set(failures) == {
        ("address_forbidden", "wiki.corp.test has no address that a charger may connect to here")
    }
    resolve(["10.0.0.5"])
    failure = asyncio.run(connect("ws://csms.corp.test/", "csms.corp.test", "private"))
    assert (failure.reason, failure.detail) == ("connection_refused", "nothing listens on csms.corp.test:80")
    assert dialled == ["10.0.0.5"]


def test_an_error_of_the_operating_system_does_not_name_the_address_of_an_allowed_name(
    resolve: Callable[[list[str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: object, __: object, *, host: str, port: int, **___: object) -> None:
        raise PermissionError(errno.EACCES, f"Connect call failed ('{host}', {port})")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
    resolve(["10.0.0.5"])

    failure = asyncio.run(connect("ws://csms.corp.test/", "csms.corp.test", "private"))

    assert (failure.reason, failure.detail) == ("connection_failed", "csms.corp.test:80: Permission denied")


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0",
        "10.0.0.256",
        "*",
        "a*.test",
        "*.",
        "exa mple",
        "ünder.test",
        "http://a/",
        "a:80",
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_both_and_named(entry: str) -> None:
    with pytest.raises(BadRule, match="is no network, address, host name"):
        read_destinations("", entry)
    with pytest.raises(BadSettings, match="CHARGER_WS_URL_DENY"):
        asyncio.run(connect("ws://csms.test/", deny=entry))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("ws://1.0.0.1/" + "x" * 2035, True),
        ("ws://1.0.0.1/" + "x" * 2036, False),
        ("ws://1.1/" + "x" * 2035, True),
        ("ws://1.1/" + "x" * 2036, False),  # 2045 characters, and 2049 in its normal form
        ("ws://1.1/" + "x" * 2039, False),
        ("ws://1.1:080/" + "x" * 2035, True),
    ],
)
def test_a_url_that_the_api_takes_is_not_too_long_for_the_charger(url: str, good: bool) -> None:
    """A normal form may be longer: 1.1 is 1.0.0.1."""
    try:
        normal = normalise_ws_url(url)
    except InvalidWsUrl:
        assert not good
    else:
        assert good
        assert len(normal) <= 2048
        assert read_settings({"CHARGER_IDENTITY": "CP-1", "CHARGER_WS_URL": normal}).ws_url == normal


def test_without_a_rule_a_charger_may_go_where_it_could_before() -> None:
    assert read_settings({"CHARGER_IDENTITY": "CP-1", "CHARGER_WS_URL": "ws://a/"}).destinations == OPEN
