"""Firmware updates (OCPP 2.0.1 part 2, L01 and L02; OCPP 1.6 part 1, 5.19 and its security whitepaper, L01)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from simulator.charge_point.maintenance.transfers import (
    FAIL_DOWNLOAD,
    FAIL_INSTALL,
    FAIL_SIGNATURE,
    is_reachable,
)
from simulator.charge_point.security import EVENT_OF_FIRMWARE_STATUS, SecurityEvents
from simulator.clock import Clock
from simulator.configuration import Options
from simulator.station.timers import Timers

TIMER = "firmware update"

#: Seconds between two looks whether the last transaction has ended, at least.
SHORTEST_POLL_S = 0.1

END_STATUSES = frozenset({"DownloadFailed", "InstallationFailed", "Installed", "InvalidSignature"})


@dataclass(slots=True)
class Update:
    location: str
    request_id: int | None  #: None in OCPP 1.6's UpdateFirmware
    retrieve_at: float
    install_at: float = 0.0
    retries: int = 0  #: attempts to download that are left after the present one
    retry_interval_s: float = 0.0
    signature_ok: bool | None = None  #: None: the update is not signed
    status: str = "Idle"  #: the one that was reported last


class Station(Protocol):
    """The station, as its firmware uses it."""

    @property
    def is_busy(self) -> bool:
        """Whether a transaction runs; the installation waits for its end."""

    def await_firmware(self, *, wait: bool) -> None:
        """Takes the connectors out of service, or returns them."""


class Reports(Protocol):
    def report_firmware(self, status: str, request_id: int | None) -> None: ...

    def reboot(self, reason: str) -> None: ...

    def keep_state(self) -> None: ...


class FirmwareUpdates:
    def __init__(
        self,
        version: str,
        *,
        clock: Clock,
        options: Options,
        timers: Timers,
        step_s: float,
        security: SecurityEvents,
        station: Station,
        reports: Reports,
    ) -> None:
        self.version = version
        self._delivered_version = version
        self.update: Update | None = None  #: the last one, also when it has ended
        self._clock = clock
        self._options = options
        self._timers = timers
        self._step_s = step_s
        self._security = security
        self._station = station
        self._reports = reports

    @property
    def reboots(self) -> bool:
        """Whether the next boot is the first one of a new firmware."""
        return self.update is not None and self.update.status == "InstallRebooting"

    def start(self, update: Update) -> str:
        """The status of the answer.

        Another update is canceled (L01.FR.24), unless the charger already reboots into its firmware (L01.FR.27). In OCPP
        1.6 the messages of the new update may be others than those of the old one, which then ends with a failure.
        """
        if self.reboots:
            return "Rejected"
        old, self.update = self.update, update
        replaces = old is not None and old.status not in END_STATUSES
        if old and replaces:
            if (old.request_id is None) != (update.request_id is None):
                self._report_failure(old)
            self._station.await_firmware(wait=False)
        self._schedule_download(update)
        return "AcceptedCanceled" if replaces else "Accepted"

    def interrupt(self, *, keep_schedule: bool) -> None:
        """Ends an update before or after the power was off: what was in progress has failed.

        Without memory (`keep_schedule`), so has what is only scheduled, or needs another boot. Safe to repeat.
        """
        self._timers.cancel(None, TIMER)
        update = self.update
        if update is None or update.status in END_STATUSES:
            return
        if not keep_schedule or update.status in ("Downloading", "Installing"):
            self._report_failure(update)

    def power_on(self) -> None:
        """Continues what is scheduled; the first boot of new firmware ends its update. Reports wait for the boot."""
        self.interrupt(keep_schedule=True)
        self.follow_clock()
        if self.update and self.reboots:
            self._report(self.update, "Installed")

    def follow_clock(self) -> None:
        """Sets the timer of an update again that waits for its time. Safe to repeat."""
        if self.update is None:
            return
        match self.update.status:
            case "DownloadScheduled":
                self._schedule_download(self.update)
            case "InstallScheduled":
                self._schedule_installation(self.update)

    def trigger_status(self, *, numbered: bool) -> tuple[str, int | None]:
        """The last status and its request, for a message that the CSMS triggered.

        Idle after Installed, or without an update (L01.FR.25, .26). In OCPP 1.6 updates with a number and those
        without one have a message each; of the other kind it is Idle, too.
        """
        update = self.update
        if update is None or update.status == "Installed" or (update.request_id is not None) != numbered:
            return "Idle", None
        return update.status, update.request_id

    def describe(self) -> dict[str, Any]:
        return {
            "firmware_version": self.version,
            "firmware_delivered": self._delivered_version,
            "update": asdict(self.update) if self.update else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restores what `describe` returned. If the settings name another version by now, then that one counts."""
        if state.get("firmware_delivered", self._delivered_version) == self._delivered_version:
            self.version = state["firmware_version"]
        if (
            state["update"] and "status" in state["update"]
        ):  # an older release went on with none after a restart
            known = {field.name for field in fields(Update)} & state["update"].keys()
            self.update = Update(**{name: state["update"][name] for name in known})

    def _schedule_download(self, update: Update) -> None:
        wait_s = update.retrieve_at - self._clock.now()
        if wait_s <= 0:
            self._download(update)
            return
        if update.status != "DownloadScheduled":
            self._report(update, "DownloadScheduled")
        self._continue(update, wait_s, self._schedule_download)

    def _download(self, update: Update) -> None:
        self._report(update, "Downloading")
        self._continue(update, self._step_s, self._finish_download)

    def _finish_download(self, update: Update) -> None:
        protocols = self._options.members("file_protocols")
        if is_reachable(update.location, protocols) and FAIL_DOWNLOAD not in update.location:
            self._report(update, "Downloaded")
            self._check_signature(update)
        elif update.retries > 0:
            update.retries -= 1
            self._continue(update, update.retry_interval_s, self._download)
        else:
            self._report(update, "DownloadFailed")

    def _check_signature(self, update: Update) -> None:
        if update.signature_ok is not None:
            valid = update.signature_ok and FAIL_SIGNATURE not in update.location
            self._report(update, "SignatureVerified" if valid else "InvalidSignature")
            if not valid:
                return
        self._schedule_installation(update)

    def _schedule_installation(self, update: Update) -> None:
        """At its time, and when no transaction runs; while it waits, it is InstallScheduled (L01.FR.06, .16).

        From its time on, no other transaction begins (L01.FR.07).
        """
        wait_s = update.install_at - self._clock.now()
        if wait_s <= 0:
            self._station.await_firmware(wait=True)
            if not self._station.is_busy:
                self._install(update)
                return
            wait_s = max(self._step_s, SHORTEST_POLL_S)
        if update.status != "InstallScheduled":
            self._report(update, "InstallScheduled")
        self._continue(update, wait_s, self._schedule_installation)

    def _install(self, update: Update) -> None:
        self._report(update, "Installing")
        self._continue(update, self._step_s, self._finish_installation)

    def _finish_installation(self, update: Update) -> None:
        if FAIL_INSTALL in update.location:
            self._report(update, "InstallationFailed")
            self._station.await_firmware(wait=False)
            return
        self.version = PurePosixPath(urlsplit(update.location).path).stem or self.version
        self._report(update, "InstallRebooting")
        self._reports.reboot("FirmwareUpdate")

    def _continue(self, update: Update, delay_s: float, step: Callable[[Update], None]) -> None:
        self._timers.start(None, TIMER, delay_s, lambda: step(update))

    def _report_failure(self, update: Update) -> None:
        is_download = update.status in ("DownloadScheduled", "Downloading")
        self._report(update, "DownloadFailed" if is_download else "InstallationFailed")

    def _report(self, update: Update, status: str) -> None:
        update.status = status
        self._reports.report_firmware(status, update.request_id)
        event = EVENT_OF_FIRMWARE_STATUS.get(status)
        if event:
            self._security.report(event, f"firmware {self.version}")
        self._reports.keep_state()
