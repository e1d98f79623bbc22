"""A charger's maintenance: its firmware updates and its log uploads."""

from typing import Any, Protocol

from simulator.charge_point.maintenance import firmware, uploads
from simulator.charge_point.maintenance.firmware import FirmwareUpdates
from simulator.charge_point.maintenance.uploads import LogUploads
from simulator.charge_point.security import SecurityEvents
from simulator.clock import Clock
from simulator.configuration import Options
from simulator.settings import Settings
from simulator.station.station import Station
from simulator.station.timers import Timers


class Reports(firmware.Reports, uploads.Reports, Protocol):
    """The charge point, as its maintenance uses it."""


class Maintenance:
    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        options: Options,
        timers: Timers,
        security: SecurityEvents,
        station: Station,
        reports: Reports,
    ) -> None:
        self.firmware = FirmwareUpdates(
            settings.firmware_version,
            clock=clock,
            options=options,
            timers=timers,
            step_s=settings.job_step_s,
            security=security,
            station=station,
            reports=reports,
        )
        self.log_uploads = LogUploads(
            options=options, timers=timers, step_s=settings.job_step_s, reports=reports
        )

    @property
    def firmware_version(self) -> str:
        return self.firmware.version

    def power_on(self) -> None:
        self.firmware.power_on()
        self.log_uploads.interrupt()

    def interrupt(self, *, keep_schedule: bool) -> None:
        """Before the process ends: reports what it leaves undone as failed. `keep_schedule`: there is a state file."""
        self.firmware.interrupt(keep_schedule=keep_schedule)
        self.log_uploads.interrupt()

    def follow_clock(self) -> None:
        self.firmware.follow_clock()

    def describe(self) -> dict[str, Any]:
        return {**self.firmware.describe(), **self.log_uploads.describe()}

    def restore(self, state: dict[str, Any]) -> None:
        self.firmware.restore(state)
        self.log_uploads.restore(state)
