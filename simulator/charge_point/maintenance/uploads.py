"""Uploads of logs: GetLog (OCPP 2.0.1 part 2, N01; the security whitepaper of 1.6), and GetDiagnostics of 1.6."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from simulator.charge_point.maintenance.transfers import FAIL_UPLOAD, is_reachable
from simulator.configuration import Options
from simulator.station.timers import Timers

TIMER = "log upload"


@dataclass(slots=True)
class Upload:
    location: str
    request_id: int | None  #: None in OCPP 1.6's GetDiagnostics
    retries: int = 0  #: attempts that are left after the present one
    retry_interval_s: float = 0.0


class Reports(Protocol):
    def report_log(self, status: str, request_id: int | None) -> None: ...

    def keep_state(self) -> None: ...


class LogUploads:
    def __init__(self, *, options: Options, timers: Timers, step_s: float, reports: Reports) -> None:
        self.upload: Upload | None = None  #: the one in progress
        self._options = options
        self._timers = timers
        self._step_s = step_s
        self._reports = reports

    def start(self, upload: Upload) -> bool:
        """Whether it cancels another upload, which is reported as AcceptedCanceled (N01.FR.12, .20)."""
        replaced = self.upload is not None
        self._end("AcceptedCanceled")
        self.upload = upload
        self._try(upload)
        return replaced

    def interrupt(self) -> None:
        """Before or after the power was off, the upload in progress has failed. Safe to repeat."""
        self._timers.cancel(None, TIMER)
        self._end("UploadFailure")

    def describe(self) -> dict[str, Any]:
        return {"upload": asdict(self.upload) if self.upload else None}

    def restore(self, state: dict[str, Any]) -> None:
        self.upload = Upload(**state["upload"]) if state.get("upload") else None

    def _try(self, upload: Upload) -> None:
        self._reports.report_log("Uploading", upload.request_id)
        self._reports.keep_state()
        self._timers.start(None, TIMER, self._step_s, lambda: self._finish(upload))

    def _finish(self, upload: Upload) -> None:
        protocols = self._options.members("file_protocols")
        if is_reachable(upload.location, protocols) and FAIL_UPLOAD not in upload.location:
            self._end("Uploaded")
        elif upload.retries > 0:
            upload.retries -= 1
            self._timers.start(None, TIMER, upload.retry_interval_s, lambda: self._try(upload))
        else:
            self._end("UploadFailure")

    def _end(self, status: str) -> None:
        """Reports the end of the present upload, if there is one."""
        if self.upload is not None:
            request_id, self.upload = self.upload.request_id, None
            self._reports.report_log(status, request_id)
            self._reports.keep_state()
