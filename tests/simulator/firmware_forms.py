"""The three forms of a firmware update: OCPP 1.6's, the signed one of its security extensions, OCPP 2.0.1's."""

from base64 import b64encode
from functools import cache
from typing import Any, NamedTuple

import pytest

from tests.simulator.talk import Talk
from tests.simulator.tls import certify
from tests.support.csms import NOW, Link, Payload, call16, call201

LOCATION = "https://files.example/fw-2.1.0.bin"
SIGNATURE = b64encode(bytes(256)).decode()


class Form(NamedTuple):
    version: str
    request: str
    report: str

    def build(self, location: str = LOCATION, request_id: int = 4, at: str = NOW, **more: Any) -> Any:
        """The request; `more` are `retries`, `retry_interval` and fields of `firmware`."""
        if self is PLAIN:
            return call16.UpdateFirmware(location=location, retrieve_date=at, **more)
        attempts = {name: more.pop(name) for name in ("retries", "retry_interval") if name in more}
        firmware = {"location": location, "retrieve_date_time": at, **more}
        if self is SIGNED:
            firmware = {"signing_certificate": certificate(), "signature": SIGNATURE} | firmware
        return getattr(call16 if self is SIGNED else call201, self.request)(
            request_id=request_id, firmware=firmware, **attempts
        )

    async def send(self, talk: Talk, *positional: Any, **named: Any) -> Any:
        return await talk.link.call(self.build(*positional, **named))

    def statuses(self, *links: Link) -> list[str]:
        return [payload["status"] for link in links for payload in link.all(self.report)]

    async def wait_for(self, link: Link, status: str) -> Payload:
        return await link.next(self.report, lambda payload: payload["status"] == status)


PLAIN = Form("OCPP1.6", "UpdateFirmware", "FirmwareStatusNotification")
SIGNED = Form("OCPP1.6", "SignedUpdateFirmware", "SignedFirmwareStatusNotification")
CURRENT = Form("OCPP2.0.1", "UpdateFirmware", "FirmwareStatusNotification")
NUMBERED = {"1.6 signed": SIGNED, "2.0.1": CURRENT}
FORMS = {"1.6": PLAIN, **NUMBERED}


@cache
def certificate() -> str:
    return certify()[0].decode()


def in_forms(forms: dict[str, Form] = FORMS) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("version", "form"), [(form.version, form) for form in forms.values()], ids=forms
    )
