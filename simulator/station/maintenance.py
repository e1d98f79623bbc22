"""Firmware updates and log uploads, as a CSMS sees them. Nothing is fetched from or sent to anywhere."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from simulator.clock import Clock

#: Part of a location that makes the step fail, for tests of a CSMS.
FAIL_DOWNLOAD, FAIL_INSTALL, FAIL_UPLOAD = "fail-download", "fail-install", "fail-upload"


class Teller(Protocol):
    def tell_firmware(self, status: str, request_id: int | None) -> None: ...

    def tell_log(self, status: str, request_id: int | None) -> None: ...

    def is_busy(self) -> bool:
        """A car is charging: not the time to install."""

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
    reboots: bool = False  #: and is finished after that


class Maintenance:
    def __init__(self, clock: Clock, step_s: float, firmware_version: str, teller: Teller) -> None:
        self._clock = clock
        self._step_s = step_s
        self._teller = teller
        self._update_timer: asyncio.TimerHandle | None = None
        self._upload_timer: asyncio.TimerHandle | None = None
        self.firmware_version = firmware_version
        self.firmware_status = "Idle"
        self.log_status = "Idle"
        self.log_request_id: int | None = None
        self.update: Update | None = None

    def start_update(self, update: Update) -> bool:
        """True when it takes the place of another one."""
        replaced = self.update is not None
        self.update = update
        wait_s = update.retrieve_at - self._clock.now()
        if wait_s > 0:
            self._tell_firmware("DownloadScheduled")
        self._next(update, max(wait_s, 0), self._download)
        return replaced

    def upload_log(self, location: str, request_id: int | None) -> tuple[str, bool]:
        """The file's name, and whether this takes the place of another upload."""
        replaced = self._upload_timer is not None
        if self._upload_timer:
            self._upload_timer.cancel()
        self.log_request_id = request_id
        result = "UploadFailure" if FAIL_UPLOAD in location else "Uploaded"
        loop = asyncio.get_running_loop()
        loop.call_soon(self._tell_log, "Uploading")

        def finish() -> None:
            self._upload_timer = None
            self._tell_log(result)
            self.log_status = "Idle"

        self._upload_timer = loop.call_later(self._step_s, finish)
        return f"log-{int(self._clock.now())}.txt", replaced

    def finish_after_reboot(self) -> None:
        """The new firmware runs."""
        if self.update and self.update.reboots:
            self._tell_firmware("Installed")
            self.update = None
            self.firmware_status = "Idle"
            self._teller.keep_state()

    def stop(self) -> None:
        for timer in (self._update_timer, self._upload_timer):
            if timer:
                timer.cancel()
        self._upload_timer = None
        if self.update and not self.update.reboots:
            self.update = None

    def _download(self, update: Update) -> None:
        self._tell_firmware("Downloading")
        self._next(update, self._step_s, self._fail if FAIL_DOWNLOAD in update.location else self._check)

    def _fail(self, update: Update) -> None:
        self._tell_firmware("InstallationFailed" if update.downloaded else "DownloadFailed")
        self.update, self.firmware_status = None, "Idle"

    def _check(self, update: Update) -> None:
        update.downloaded = True
        self._tell_firmware("Downloaded")
        if update.signed:
            self._tell_firmware("SignatureVerified")
        wait_s = update.install_at - self._clock.now()
        if wait_s > 0:
            self._tell_firmware("InstallScheduled")
        self._next(update, max(wait_s, 0), self._install)

    def _install(self, update: Update) -> None:
        if self._teller.is_busy():
            self._next(update, self._step_s, self._install)
            return
        self._tell_firmware("Installing")
        self._next(update, self._step_s, self._fail if FAIL_INSTALL in update.location else self._finish)

    def _finish(self, update: Update) -> None:
        self._tell_firmware("InstallRebooting")
        self.firmware_version = PurePosixPath(urlsplit(update.location).path).stem or self.firmware_version
        update.reboots = True
        self._teller.keep_state()
        self._teller.reboot("FirmwareUpdate")

    def _next(self, update: Update, delay_s: float, step: Callable[[Update], None]) -> None:
        if self._update_timer:
            self._update_timer.cancel()
        self._update_timer = asyncio.get_running_loop().call_later(delay_s, step, update)

    def _tell_firmware(self, status: str) -> None:
        self.firmware_status = status
        self._teller.tell_firmware(status, self.update.request_id if self.update else None)

    def _tell_log(self, status: str) -> None:
        self.log_status = status
        self._teller.tell_log(status, self.log_request_id)
