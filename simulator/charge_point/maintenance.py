"""Simulated firmware updates and log uploads: their steps are reported, but nothing is transferred."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from simulator.clock import Clock
from simulator.station.timers import Timers

#: A location that contains one of these makes that step fail, for tests of a CSMS.
FAIL_DOWNLOAD, FAIL_INSTALL, FAIL_UPLOAD = "fail-download", "fail-install", "fail-upload"


class Reports(Protocol):
    def report_firmware(self, status: str, request_id: int | None) -> None: ...

    def report_log(self, status: str, request_id: int | None) -> None: ...

    def is_busy(self) -> bool:
        """Whether a transaction runs; the installation waits for its end."""

    def reboot(self, reason: str) -> None: ...

    def keep_state(self) -> None: ...


@dataclass(slots=True)
class Update:
    location: str
    request_id: int | None  #: None in OCPP 1.6
    retrieve_at: float
    install_at: float
    signed: bool = False
    downloaded: bool = False
    reboots: bool = False  #: installed; finished once the charger has booted


class Maintenance:
    def __init__(
        self, clock: Clock, timers: Timers, step_s: float, firmware_version: str, reports: Reports
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._step_s = step_s
        self._reports = reports
        self.firmware_version = firmware_version
        self.firmware_status = "Idle"
        self.log_status = "Idle"
        self.log_request_id: int | None = None
        self.update: Update | None = None

    def start_update(self, update: Update) -> bool:
        """True when it replaces another update."""
        replaced = self.update is not None
        self.update = update
        wait_s = update.retrieve_at - self._clock.now()
        if wait_s > 0:
            self._report_firmware("DownloadScheduled")
        self._continue(update, max(wait_s, 0), self._download)
        return replaced

    def upload_log(self, location: str, request_id: int | None) -> tuple[str, bool]:
        """The name of the file, and whether this upload replaces another."""
        replaced = self._timers.is_running(None, "upload")
        self.log_request_id = request_id
        result = "UploadFailure" if FAIL_UPLOAD in location else "Uploaded"
        self._timers.start(None, "uploading", 0, lambda: self._report_log("Uploading"))

        def finish() -> None:
            self._report_log(result)
            self.log_status = "Idle"

        self._timers.start(None, "upload", self._step_s, finish)
        return f"log-{int(self._clock.now())}.txt", replaced

    def finish_after_reboot(self) -> None:
        """Reports the new firmware as installed, if the charger rebooted for one."""
        if self.update and self.update.reboots:
            self._report_firmware("Installed")
            self.update = None
            self.firmware_status = "Idle"
            self._reports.keep_state()

    def stop(self) -> None:
        """At power-off. An update that is not installed yet is lost."""
        for name in ("update", "uploading", "upload"):
            self._timers.cancel(None, name)
        if self.update and not self.update.reboots:
            self.update = None

    def _download(self, update: Update) -> None:
        self._report_firmware("Downloading")
        self._continue(update, self._step_s, self._fail if FAIL_DOWNLOAD in update.location else self._check)

    def _fail(self, update: Update) -> None:
        self._report_firmware("InstallationFailed" if update.downloaded else "DownloadFailed")
        self.update, self.firmware_status = None, "Idle"

    def _check(self, update: Update) -> None:
        update.downloaded = True
        self._report_firmware("Downloaded")
        if update.signed:
            self._report_firmware("SignatureVerified")
        wait_s = update.install_at - self._clock.now()
        if wait_s > 0:
            self._report_firmware("InstallScheduled")
        self._continue(update, max(wait_s, 0), self._install)

    def _install(self, update: Update) -> None:
        if self._reports.is_busy():
            self._continue(update, self._step_s, self._install)
            return
        self._report_firmware("Installing")
        self._continue(update, self._step_s, self._fail if FAIL_INSTALL in update.location else self._finish)

    def _finish(self, update: Update) -> None:
        self._report_firmware("InstallRebooting")
        self.firmware_version = PurePosixPath(urlsplit(update.location).path).stem or self.firmware_version
        update.reboots = True
        self._reports.keep_state()
        self._reports.reboot("FirmwareUpdate")

    def _continue(self, update: Update, delay_s: float, step: Callable[[Update], None]) -> None:
        self._timers.start(None, "update", delay_s, lambda: step(update))

    def _report_firmware(self, status: str) -> None:
        self.firmware_status = status
        self._reports.report_firmware(status, self.update.request_id if self.update else None)

    def _report_log(self, status: str) -> None:
        self.log_status = status
        self._reports.report_log(status, self.log_request_id)
