"""When the meters are read: in a transaction, at the times of day that the options name, and for its end."""

import zlib
from collections.abc import Callable

from simulator.settings import Settings
from simulator.station.car.energy import Energy
from simulator.station.metering.clock_aligned import Boundaries
from simulator.station.metering.readings import Meter
from simulator.station.model import Connector, Sample
from simulator.station.resources import Resources

#: A used meter shows at least this much, and less than ten million watt-hours: what a public charging point
#: delivers in its first years. The value stays exact as a float and short as a text.
USED_WH = 100_000


class Sampling:
    """Reads at the intervals of the options `sample_s`, `ended_s`, `aligned_s` and `aligned_ended_s`; 0 turns one off.

    The first and the third are reported at once, the others with the end of the transaction. In OCPP 1.6 what is
    reported at once is recorded for the end, too: it has no intervals of their own for that.
    """

    def __init__(self, resources: Resources, energy: Energy, meter: Meter) -> None:
        self._resources = resources
        self._energy = energy
        self._meter = meter
        self._reads = {"sample_s": self._report_sample, "ended_s": self._record_sample}
        self._intervals_s: dict[str, int] = {}  #: by option, of the timers that run
        self._boundaries: dict[str, Boundaries] = {}

    # In a transaction

    def begin(self, connector: Connector) -> None:
        """A transaction has begun."""
        connector.interval_start_wh["sampled"] = connector.energy_wh
        self.record(connector, "ended", "Transaction.Begin")

    def restart(self, connector: Connector) -> None:
        """Samples the transaction that runs from now on: after its start or end."""
        for option in self._reads:
            self._repeat(connector, option)

    def change_interval(self, option: str) -> None:
        """After `sample_s` or `ended_s` was set: starts it anew, unless it is what it was."""
        if self._resources.options.number(option) != self._intervals_s.get(option):
            for connector in self._resources.connectors:
                self._repeat(connector, option)

    def _repeat(self, connector: Connector, option: str) -> None:
        interval_s, timers = self._resources.options.number(option), self._resources.timers
        self._intervals_s[option] = interval_s
        timers.cancel(connector, option)
        if connector.transaction and interval_s:
            self._sample_later(connector, option, timers.now_s() + interval_s, interval_s)

    def _sample_later(self, connector: Connector, option: str, due_s: float, interval_s: int) -> None:
        def sample() -> None:
            if connector.transaction:
                self._energy.update_meters()
                self._reads[option](connector)
                self._resources.reports.keep_state()
                missed = max(timers.now_s() - due_s, 0) // interval_s  # while the process stood still
                self._sample_later(connector, option, due_s + (missed + 1) * interval_s, interval_s)

        timers = self._resources.timers
        timers.start(connector, option, max(due_s - timers.now_s(), 0), sample)

    def report_now(self, connector: Connector) -> None:
        """Reports the readings at once, in a transaction or not."""
        if connector.transaction:
            self._report_sample(connector)
        else:
            self._resources.reports.report_meter(connector)

    def _report_sample(self, connector: Connector) -> None:
        if connector.transaction:
            self._resources.report_update(connector, connector.transaction, "MeterValuePeriodic")
            connector.interval_start_wh["sampled"] = connector.energy_wh

    def _record_sample(self, connector: Connector) -> None:
        self.record(connector, "ended", "Sample.Periodic")

    def record(self, connector: Connector, name: str, context: str) -> None:
        """Keeps the readings of this list for the end of the transaction, which reports up to `ended_max_values`."""
        transaction = connector.transaction
        readings = self._meter.read(connector, name, context)
        connector.interval_start_wh[name] = connector.energy_wh
        if transaction is None or not readings:
            return
        transaction.samples.append(Sample(self._resources.clock.now(), context, readings))
        # One more is read at the end.
        if len(transaction.samples) >= self._resources.options.number("ended_max_values"):
            thin_out(transaction.samples)

    # At the times of day

    def restart_clock_aligned(self) -> None:
        """After a start, or a change of an interval or of the clock."""
        self._align("aligned_s", self._report_clock_aligned)
        self._align("aligned_ended_s", self._record_clock_aligned)

    def stop(self) -> None:
        """No boundary that passes until the next start is read later on."""
        self._boundaries.clear()

    def _align(self, option: str, read: Callable[[], None]) -> None:
        """Reads if a boundary has passed, and waits for the next one."""
        interval_s, clock = self._resources.options.number(option), self._resources.clock
        self._resources.timers.cancel(None, option)
        if not interval_s:
            self._boundaries.pop(option, None)
            return
        boundaries = self._boundaries.setdefault(option, Boundaries())
        if boundaries.has_passed(clock.now(), interval_s):
            self._energy.update_meters()
            read()
        delay_s = boundaries.next(clock.now(), interval_s) - clock.now()
        self._resources.timers.start(None, option, max(delay_s, 0.001), lambda: self._align(option, read))

    def _report_clock_aligned(self) -> None:
        running = any(True for _ in self._resources.running())
        if not (running and self._resources.options.flag("aligned_idle_only")):
            for connector in self._resources.connectors:
                self._report_aligned(connector)
        for connector in self._resources.connectors:
            connector.interval_start_wh["aligned"] = connector.energy_wh

    def _report_aligned(self, connector: Connector) -> None:
        if connector.transaction:
            self._resources.report_update(connector, connector.transaction, "MeterValueClock")
        else:
            self._resources.reports.report_meter(connector)

    def _record_clock_aligned(self) -> None:
        for connector in self._resources.connectors:
            self.record(connector, "aligned_ended", "Sample.Clock")
        self._resources.reports.keep_state()


def thin_out(samples: list[Sample]) -> None:
    """Leaves out one, and neither the first nor the last, so that the others stay spread evenly over the time."""
    gaps_s = [later.moment - earlier.moment for earlier, later in zip(samples, samples[2:], strict=False)]
    del samples[gaps_s.index(min(gaps_s)) + 1]


def meter_start_wh(settings: Settings, number: int) -> float:
    """The register of a new charger's connector.

    Without the setting it differs from charger to charger and from connector to connector, and is the same after
    each start without a state file: a register at 0 hides that a CSMS takes it for the energy of a session.
    """
    if settings.meter_start_wh is not None:
        return float(settings.meter_start_wh)
    spread = zlib.crc32(f"{settings.identity}/{number}".encode())
    return float(USED_WH + spread % (10_000_000 - USED_WH))
