"""Which URLs a charger may connect to, and their normal form."""

from dataclasses import replace

import pytest
from flask import Flask

from api.http.fields.ws_url import InvalidWsUrl, normalise_ws_url
from api.resources import Resources
from shared.destinations import read_destinations
from tests.support.fleet import NEW_CHARGER, Fleet


@pytest.mark.parametrize(
    "url",
    [
        "ws://localhost:9000",
        "ws://csms:9000/x",
        "ws://a_b:9000/",
        "ws://10.1.2.3/",
        "ws://192.168.0.7:8080/ocpp/",
        "ws://127.0.0.1:9000/ocpp?tenant=a%20b&x=1",
        "ws://[::1]:9000/",
        "ws://[fd12:3456::1]/",
        "wss://ocpp-toolkit-api.monta.app",
        "wss://example-ocpp-backend.test/ws",
        "wss://xn--nxasmq6b.test./",
        "ws://1.2.3.4.test/",
        "ws://" + "a" * 63 + ".test/",
        "ws://h/" + "x" * 2041,
    ],
)
def test_what_people_point_chargers_at_is_taken_as_it_is(url: str) -> None:
    assert normalise_ws_url(url) == url


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("WS://CSMS.Test/Path", "ws://csms.test/Path"),
        ("ws://csms.test:80/", "ws://csms.test/"),
        ("wss://csms.test:443/", "wss://csms.test/"),
        ("ws://csms.test:443/", "ws://csms.test:443/"),
        ("ws://csms.test:09000/", "ws://csms.test:9000/"),
        ("ws://2130706433/", "ws://127.0.0.1/"),
        ("ws://0x7f.1/", "ws://127.0.0.1/"),
        ("ws://0177.0.0.1/", "ws://127.0.0.1/"),
        ("ws://10.1/", "ws://10.0.0.1/"),
        ("ws://[0:0:0:0:0:0:0:1]/", "ws://[::1]/"),
        ("ws://[FD12::1]:9000/", "ws://[fd12::1]:9000/"),
        ("ws://csms.test/?", "ws://csms.test/"),
    ],
)
def test_one_place_has_one_spelling(url: str, normal: str) -> None:
    assert normalise_ws_url(url) == normal
    assert normalise_ws_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://csms.test/",
        "redis://csms.test/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//csms.test/",
        "ws:csms.test",
        "ws:/csms.test",
        "ws://",
        "ws:///x",
        "ws://?x",
        "wss://:9000/",
    ],
)
def test_what_has_no_scheme_or_no_host_is_refused(url: str) -> None:
    with pytest.raises(InvalidWsUrl):
        normalise_ws_url(url)


@pytest.mark.parametrize(
    "port", ["0", "99999", "65536", "-1", "", "+80", "8 0", "x", "80:80", "٨٠", "000080"]
)
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(InvalidWsUrl):
        normalise_ws_url(f"ws://csms.test:{port}/")


@pytest.mark.parametrize(
    "url",
    [
        "ws://user:password@csms.test/",
        "ws://user@csms.test/",
        "ws://@csms.test/",
        "ws://csms.test@169.254.169.254/",
        "ws://csms.test/#fragment",
        "ws://csms.test/#",
    ],
)
def test_credentials_and_fragments_are_refused(url: str) -> None:
    with pytest.raises(InvalidWsUrl) as refusal:
        normalise_ws_url(url)
    assert "password@" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "ws://csms.test/a b",
        " ws://csms.test/",
        "ws://csms.test/\t",
        "ws://csms.test/\r\nHost: evil",
        "ws://csms\n.test/",
        "ws://csms.test\\@evil.test/",
        "ws://csms.test/\x00",
        "ws://csms.test/\x7f",
        "ws://ünder.test/",
        "ws://csms.test/ü",
        "ws://csms.test/<script>",
        'ws://csms.test/"',
        "ws://csms.test/%",
        "ws://csms.test/%zz",
        "ws://csms.test/?{}",
    ],
)
def test_characters_that_parsers_disagree_about_are_refused(url: str) -> None:
    with pytest.raises(InvalidWsUrl):
        normalise_ws_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "csms..test",
        ".csms.test",
        "-csms.test",
        "csms-.test",
        "a" * 64 + ".test",
        ("a" * 60 + ".") * 5,
        "csms%2etest",
        "[::1",
        "::1",
        "[::1]x",
        "[fe80::1%25eth0]",
        "[::g]",
        "[v1.x]",
        "1.2.3.256",
        "1.2.3.4.5",
        "0x",
        "999999999999",
    ],
)
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(InvalidWsUrl):
        normalise_ws_url(f"ws://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "2852039166",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.254.169.254.",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[::169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "0",
        "0.1.2.3",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
    ],
)
def test_addresses_that_no_csms_has_are_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(InvalidWsUrl):
        normalise_ws_url(f"ws://{host}/")


def test_a_url_longer_than_2048_characters_is_refused() -> None:
    with pytest.raises(InvalidWsUrl):
        normalise_ws_url("ws://h/" + "x" * 2042)


@pytest.fixture
def only_the_internet(app: Flask, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator denies private addresses."""
    settings = replace(resources.settings, destinations=read_destinations("", "private"))
    monkeypatch.setitem(app.extensions, "chargehand", replace(resources, settings=settings))


@pytest.mark.usefixtures("only_the_internet")
@pytest.mark.parametrize(
    "url", ["ws://10.0.0.5/", "ws://167772165/", "wss://[::ffff:10.0.0.5]/x", "ws://localhost/"]
)
def test_what_the_operator_denies_is_refused_on_create_and_update(fleet: Fleet, url: str) -> None:
    charger_id = fleet.create(ws_url="ws://csms.test/")
    before = fleet.row(charger_id)

    created = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"identity": "CP-2", "ws_url": url})
    updated = fleet.put(f"/ocpp/chargers/{charger_id}", json={"ws_url": url})

    for answer in (created, updated):
        assert answer.status_code == 422
        [item] = answer.json["detail"]
        assert (item["loc"], item["msg"]) == (
            ["body", "ws_url"],
            "URL host is not one that chargers may connect to here",
        )
    after = fleet.row(charger_id)
    assert (after.ws_url, after.generation) == (before.ws_url, before.generation)
    assert fleet.get("/ocpp/chargers").json["total"] == 1
