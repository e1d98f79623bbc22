"""The requests for firmware and logs that OCPP 2.0.1 and the security extensions of OCPP 1.6 share."""

from simulator.charge_point.common_requests import REJECTED, CommonRequests
from simulator.charge_point.maintenance.firmware import Update
from simulator.charge_point.maintenance.transfers import attempts_of, is_certificate, is_signature
from simulator.charge_point.maintenance.uploads import Upload
from simulator.charge_point.translation import handles
from simulator.clock import parse_time
from simulator.link.frames import Payload


class MaintenanceRequests(CommonRequests):
    def update_firmware(self, request: Payload) -> str:
        """Starts the update of 2.0.1's UpdateFirmware or 1.6's SignedUpdateFirmware; the status of the answer.

        With a signature or a certificate, the update is signed and needs both (L01.FR.02, .04, .21, .22).
        """
        firmware = request["firmware"]
        certificate, signature = firmware.get("signingCertificate"), firmware.get("signature")
        if certificate is not None and not is_certificate(certificate):
            self.security.report(
                "InvalidFirmwareSigningCertificate", f"request {request['requestId']}", requested=True
            )
            return "InvalidCertificate"
        try:
            retrieve_at = parse_time(firmware["retrieveDateTime"])
            install_at = parse_time(firmware["installDateTime"]) if "installDateTime" in firmware else 0.0
        except ValueError:
            return "Rejected"
        retries, retry_interval_s = attempts_of(request)
        update = Update(
            location=firmware["location"],
            request_id=request["requestId"],
            retrieve_at=retrieve_at,
            install_at=install_at,
            retries=retries,
            retry_interval_s=retry_interval_s,
        )
        if certificate is not None or signature is not None:
            update.signature_ok = certificate is not None and is_signature(signature or "")
        return self.maintenance.firmware.start(update)

    @handles("GetLog", when_busy=REJECTED)
    def _get_log(self, request: Payload) -> Payload:
        """Rejected without log entries of that time (N01.FR.05)."""
        log = request["log"]
        try:
            has_entries = self.has_log_entries(log.get("oldestTimestamp"), log.get("latestTimestamp"))
        except ValueError:
            has_entries = False
        if not has_entries:
            return {"status": "Rejected"}
        name = "security" if request["logType"] == "SecurityLog" else "diagnostics"
        replaced = self.upload_log(log["remoteLocation"], request["requestId"], request)
        return {"status": "AcceptedCanceled" if replaced else "Accepted", "filename": self.file_name(name)}

    def has_log_entries(self, oldest: str | None, latest: str | None) -> bool:
        """Whether this span of time has begun and is not empty. Raises ValueError for what is no time."""
        now = self.clock.now()
        oldest_at = parse_time(oldest) if oldest is not None else 0.0
        latest_at = parse_time(latest) if latest is not None else now
        return oldest_at <= min(latest_at, now)

    def upload_log(self, location: str, request_id: int | None, request: Payload) -> bool:
        """Whether it cancels another upload."""
        retries, retry_interval_s = attempts_of(request)
        return self.maintenance.log_uploads.start(Upload(location, request_id, retries, retry_interval_s))

    def file_name(self, kind: str) -> str:
        return f"{kind}-{int(self.clock.now())}.txt"

    def report_log(self, status: str, request_id: int | None) -> None:
        self.send_durable("LogStatusNotification", numbered(status, request_id), requested=True)

    def trigger_log_status(self) -> None:
        """Idle without an upload that has a number (N01.FR.13; N01.FR.12 of the whitepaper)."""
        upload = self.maintenance.log_uploads.upload
        request_id = upload.request_id if upload else None
        status = "Idle" if request_id is None else "Uploading"
        self.send("LogStatusNotification", numbered(status, request_id), requested=True)


def numbered(status: str, request_id: int | None) -> Payload:
    """The payload of a status, with the number of its request if it has one."""
    return {"status": status} | ({} if request_id is None else {"requestId": request_id})
