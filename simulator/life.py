"""The life of one charger in a process that may have many: its settings come, its charge points follow one another, it ends."""

import asyncio
from collections.abc import Mapping

from simulator.charge_point.charge_point import ChargePoint
from simulator.control.hosted import Hosted, Spec
from simulator.flag import Flag
from simulator.http_api.door import open_http_api
from simulator.lifecycle import (
    ALONE,
    REPORT_ENDED_S,
    Terms,
    build_charge_point,
    check_settings,
    live,
    switch_off,
)
from simulator.log import CURRENT, EventLog
from simulator.settings import BadSettings, Settings
from simulator.specification import follow, specified, store_specification


class Life:
    def __init__(
        self, environ: Mapping[str, str], log: EventLog, hosted: Hosted | None = None, terms: Terms = ALONE
    ) -> None:
        """`hosted` is the charger as the control link knows it, where there is a link."""
        self._environ = environ
        self._log = log
        self._hosted = hosted
        self._terms = terms
        self.settings: Settings | None = None  #: to begin with
        self._has_settings = Flag()
        self.charge_point: ChargePoint | None = None  #: as soon as it is built
        self._living: asyncio.Task[None] | None = None  #: of the charge point
        self._successor: Settings | None = None  #: of a charge point that takes its place
        self._replacing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_stopped = False
        if hosted is not None:
            hosted.on_spec = self.take_specification

    async def run(self, boot_reason: str | None = None) -> None:
        """From its first settings, for which it waits, until `stop`. It begins with the memory that the link has of it.

        Raises BadSettings for a configuration that the charger does not accept, and Crashed if the terms say so.
        """
        CURRENT.set(self._log)
        while self.settings is None and not self._is_stopped:
            await self._has_settings.wait()
        settings, kept = self.settings, self._hosted.memory if self._hosted else None
        while settings is not None and not self._is_stopped:
            charge_point = self.charge_point = build_charge_point(settings, self._log, kept)
            charge_point.reboots.reason = boot_reason or charge_point.reboots.reason
            if self._hosted:
                self._hosted.attach(charge_point)
            async with open_http_api(charge_point):
                if not self._is_stopped and self._successor is None:
                    self._living = asyncio.create_task(live(charge_point, self._terms))
                    try:
                        await self._living
                    finally:
                        self._living = None
            settings, self._successor = self._successor, None
            kept, boot_reason = charge_point.memory.snapshot(), "LocalReset"

    def stop(self, within_s: float = REPORT_ENDED_S) -> None:
        """Switches the charger off in order: its CSMS has so long to take its last words. A repeat is safe."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._successor = None
        self._has_settings.set()
        if self.charge_point is not None and self._living is not None:
            self._ending = asyncio.create_task(switch_off(self.charge_point, self._living, within_s))

    def cut(self) -> None:
        """Ends the charger at once and without last words: another process goes on with it. A repeat is safe."""
        self._is_stopped = True
        self._successor = None
        self._has_settings.set()
        if self._living is not None:
            self._living.cancel()

    def take_specification(self, spec: Spec) -> None:
        """Follows it, and reports so; one that the charger cannot follow changes nothing."""
        try:
            self._follow(specified(self._environ, spec.environment))
        except BadSettings as error:
            self._log.remark(
                "warning", f"revision {spec.revision} of the specification is not followed: {error}"
            )
            if self._hosted:
                self._hosted.follow(spec.revision, str(error))
            return
        if self._hosted:
            self._hosted.follow(spec.revision)
        try:
            store_specification(self._environ, spec.revision, spec.environment)
        except OSError as error:
            self._log.remark("error", f"the specification cannot be stored: {error}")

    def _follow(self, settings: Settings) -> None:
        """Raises BadSettings."""
        if self.charge_point is None:
            check_settings(settings, self._log)
            self.settings = settings
            self._has_settings.set()
        elif self._successor is not None:
            check_settings(settings, self._log)
            self._successor = settings
        elif not follow(self.charge_point, settings):
            check_settings(settings, self._log)
            self._log.remark("info", "the charger boots with its new settings")
            self._successor = None if self._is_stopped else settings
            if self._living is not None:
                self._replacing = asyncio.create_task(switch_off(self.charge_point, self._living))
