"""OCPP 2.0.1: answers that say why."""

from simulator.charge_point.common_requests import REJECTED
from simulator.link.frames import Payload


def rejected(code: str, reason: str) -> Payload:
    """`code` is a reason code of part 2, appendix 5."""
    return REJECTED | {"statusInfo": {"reasonCode": code, "additionalInfo": reason[:512]}}
