"""What is known of a simulated download or upload before anything is transferred."""

from base64 import b64encode

import pytest

from simulator.charge_point.maintenance.transfers import is_certificate, is_reachable, is_signature
from tests.simulator.tls import certify

PROTOCOLS = ("FTP", "HTTPS")


@pytest.mark.parametrize("location", ["https://files.example/fw.bin", "FTP://user:word@10.0.0.1:21/a/"])
def test_a_url_of_a_known_protocol_with_a_host_is_a_location(location: str) -> None:
    assert is_reachable(location, PROTOCOLS)


@pytest.mark.parametrize(
    "location",
    [
        "dummy://dummy",
        "http://files.example/fw.bin",
        "",
        "fw.bin",
        "https:///fw.bin",
        "https://[::1/fw.bin",
        "ftp://files.example:99999/fw.bin",
    ],
)
def test_nothing_else_is_a_location(location: str) -> None:
    assert not is_reachable(location, PROTOCOLS)


def test_a_pem_certificate_is_one() -> None:
    assert is_certificate(certify()[0].decode())


@pytest.mark.parametrize(
    "text", ["", "junk", "é", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_nothing_else_is_a_certificate(text: str) -> None:
    assert not is_certificate(text)


def test_a_private_key_is_no_certificate() -> None:
    assert not is_certificate(certify()[1].decode())


@pytest.mark.parametrize(
    ("signature", "well_formed"),
    [
        (b64encode(bytes(64)).decode(), True),
        (b64encode(bytes(63)).decode(), False),
        ("☺" * 100, False),
        ("-" * 100, False),
        ("", False),
    ],
)
def test_a_signature_is_base64_of_at_least_64_bytes(signature: str, well_formed: bool) -> None:
    assert is_signature(signature) is well_formed
