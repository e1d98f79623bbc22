"""Any order of updates, reboots, transactions and times: each update is reported in a legal order, to its end."""

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.charge_point.maintenance.firmware import END_STATUSES, FirmwareUpdates, Update
from simulator.charge_point.security import SecurityEvents
from simulator.clock import Clock
from simulator.configuration import Options
from simulator.link.frames import Payload
from simulator.log import EventLog
from simulator.station.model import Connector
from simulator.station.timers import Timers

LEGAL = re.compile(
    r"(DownloadScheduled )?(Downloading )*"
    r"(DownloadFailed )?"
    r"(Downloaded (InvalidSignature |(SignatureVerified )?(InstallScheduled )?"
    r"(Installing (InstallationFailed |(InstallRebooting (Installed )?)?)?)?)?)?"
)


class VirtualTime(Clock, Timers):
    """A clock and timers that only `pass_time` moves."""

    def __init__(self) -> None:
        Clock.__init__(self)
        self._now = 0.0
        self._due: tuple[float, Callable[[], object]] | None = None

    def now(self) -> float:
        return self._now

    def start(
        self, connector: Connector | None, name: str, delay_s: float, act: Callable[[], object]
    ) -> None:
        self._due = (self._now + delay_s, act)

    def cancel(self, connector: Connector | None, name: str) -> None:
        self._due = None

    def cancel_all(self) -> None:
        self._due = None

    def pass_time(self, seconds: float) -> None:
        end = self._now + seconds
        while self._due and self._due[0] <= end:
            (self._now, act), self._due = self._due, None
            act()
        self._now = end


class Charger:
    """What FirmwareUpdates needs, and a record of what it reports."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.is_busy = False
        self.closed = False  #: nothing new starts
        self.reported: dict[int | None, str] = {}
        self.events: list[str] = []
        self.firmware = FirmwareUpdates(
            "1.0.0",
            clock=self.time,
            options=Options({}, {}),
            timers=self.time,
            step_s=1.0,
            security=SecurityEvents(self.time, EventLog(lambda _: None), self),
            station=self,
            reports=self,
        )

    def report_firmware(self, status: str, request_id: int | None) -> None:
        self.reported[request_id] = self.reported.get(request_id, "") + f"{status} "

    def send_durable(self, action: str, payload: Payload, *, requested: bool) -> None:
        """Takes its security events."""
        self.events.append(payload["type"])

    def await_firmware(self, *, wait: bool) -> None:
        self.closed = wait

    def reboot(self, reason: str) -> None:
        self.power_cycle()

    def keep_state(self) -> None:
        pass

    def power_cycle(self) -> None:
        """As a restart of the process with a state file; a Reset keeps the same in memory."""
        self.time.cancel_all()
        self.closed = False
        self.firmware.restore(self.firmware.describe())
        self.firmware.power_on()


UPDATES = st.builds(
    Update,
    location=st.sampled_from(
        ["https://x/new.bin", "dummy://dummy", "ftp://x/fail-install", "ftp://x/fail-download"]
    ),
    request_id=st.none(),
    retrieve_at=st.sampled_from([-1.0, 0.0, 30.0]),
    install_at=st.sampled_from([-1.0, 0.0, 60.0, 1e6]),
    retries=st.integers(0, 2),
    retry_interval_s=st.sampled_from([0.0, 5.0]),
    signature_ok=st.sampled_from([None, True, False]),
)
STEPS = st.lists(
    st.one_of(UPDATES, st.sampled_from(["reboot", "busy", "idle", "clock", 0.5, 1.0, 10.0, 100.0])),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_order_of_events_reports_each_update_in_a_legal_order_to_its_end(
    steps: list[Update | str | float],
) -> None:
    charger = Charger()
    for number, step in enumerate(steps):
        match step:
            case Update():
                step.request_id = number
                charger.firmware.start(step)
            case "reboot":
                charger.power_cycle()
            case "clock":
                charger.firmware.follow_clock()
            case "busy" | "idle":
                charger.is_busy = step == "busy"
            case float():
                charger.time.pass_time(step)

    charger.is_busy = False
    charger.time.pass_time(2e6)

    for reported in charger.reported.values():
        assert LEGAL.fullmatch(reported), reported
    update = charger.firmware.update
    assert update is None or update.status in END_STATUSES
    installed = [reported for reported in charger.reported.values() if "Installed" in reported]
    assert not charger.closed
    assert charger.events.count("FirmwareUpdated") == len(installed)
    assert charger.firmware.version == ("new" if installed else "1.0.0")
