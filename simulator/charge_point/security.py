"""Security events (OCPP 2.0.1 part 2, A04, and its appendix 1; security whitepaper of OCPP 1.6, section 8)."""

from typing import Protocol

from simulator.clock import Clock
from simulator.link.frames import Payload
from simulator.log import EventLog

#: Sent to the CSMS. EVerest also sends the two about firmware, as the test cases TC_L_05_CS and TC_L_06_CS expect.
SENT = frozenset(
    {
        "FirmwareUpdated",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "ResetOrReboot",
        "SettingSystemTime",
        "StartupOfTheDevice",
    }
)

#: Seconds of the smallest change of the clock that is an event. CSMSs that answer whole seconds differ by up to one.
CLOCK_JUMP_S = 2.0

#: By the firmware status that says that they have happened (L01.FR.03, .31).
EVENT_OF_FIRMWARE_STATUS = {"Installed": "FirmwareUpdated", "InvalidSignature": "InvalidFirmwareSignature"}


class Sender(Protocol):
    """The charge point, as its security events use it."""

    def send_durable(self, action: str, payload: Payload, *, requested: bool) -> None: ...


class SecurityEvents:
    def __init__(self, clock: Clock, log: EventLog, sender: Sender) -> None:
        self._clock = clock
        self._log = log
        self._sender = sender

    def report(self, event: str, detail: str, *, requested: bool = False) -> None:
        """Writes the event to the log (A04.FR.04) or, if it is critical, queues it for the CSMS (A04.FR.01, .02).

        A frame is in the log, too. A repeat reports another event. `requested`: a request of the CSMS has caused it.
        """
        if event not in SENT:
            self._log.remark("info", f"security event {event}: {detail}")
            return
        payload = {"type": event, "timestamp": self._clock.stamp(), "techInfo": detail[:255]}
        self._sender.send_durable("SecurityEventNotification", payload, requested=requested)

    def report_clock(self, jump_s: float) -> None:
        if abs(jump_s) >= CLOCK_JUMP_S:
            self.report("SettingSystemTime", f"set by the CSMS, by {jump_s:.1f} s")

    def report_boot(self, reason: str, firmware_version: str) -> None:
        event = "StartupOfTheDevice" if reason == "PowerUp" else "ResetOrReboot"
        self.report(event, f"{reason}, firmware {firmware_version}")
