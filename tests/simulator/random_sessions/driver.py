"""Drives chargers through random sessions, and says which promise they broke."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random

from simulator.lifecycle import build_charge_point, live
from simulator.log import EventLog
from simulator.settings import read_settings
from simulator.versions import VERSIONS
from tests.simulator.charger import environment
from tests.simulator.random_sessions.wrong_csms import Payload, WrongCsms
from tests.support.waiting import wait_until_async

TAG, OTHER_TAG = "TAG", "OTHER"

#: Call time-outs within which what a session left behind has to end: lost answers, refused boots, a reconnect, a reboot.
SETTLE_TIMEOUTS = 60

#: Sessions that begin when the charger is connected and accepted; the others begin whatever its link does.
ONLINE_SHARE = 0.8

#: Sessions in which nothing else happens until a transaction runs, if one begins soon.
CHARGING_SHARE = 0.7

#: What a session may arm; each is switched off at its end.
MISBEHAVIOUR: tuple[Payload, ...] = (
    {"kind": "drop_link", "seconds": 0.05},
    {"kind": "drop_link", "seconds": 0.05, "after": "Authorize"},
    {"kind": "drop_link", "seconds": 0.05, "after": "StatusNotification", "how_often": "one_in_n", "n": 3},
    {"kind": "power_cut", "seconds": 0.05},
    {"kind": "clock_skew", "offset_seconds": -100_000},
    {"kind": "clock_skew", "offset_seconds": 100_000},
    {"kind": "refuse_requests", "how_often": "always"},
    {"kind": "answer_with", "action": "Reset", "answer": {"status": []}},
    {"kind": "lock_fails"},
    {"kind": "delay_frames", "seconds": 0.1, "how_often": "always"},
    {"kind": "duplicate_frames", "how_often": "always"},
    {"kind": "withhold_frames", "frames": "calls"},
    {"kind": "withhold_frames", "how_often": "always"},
    {"kind": "break_json", "frames": "calls", "how_often": "always"},
    {"kind": "wrong_enum", "frames": "calls", "how_often": "always"},
)

SETTINGS = {
    "ev_plug_in_s": 0,
    "ev_unplug_s": "never",
    "reboot_s": 0,
    "configuration": json.dumps(
        {"TransactionMessageAttempts": 100, "TransactionMessageRetryInterval": 0, "ConnectionTimeOut": 1}
    ),
}


class BrokenPromise(AssertionError):
    """A charger did what it must never do. The message has the steps and the last lines of its log."""


class RandomCharger:
    """A charger with one connector, and the driver and the operator who use it at random."""

    def __init__(
        self,
        csms: WrongCsms,
        identity: str,
        version: str,
        *,
        seed: int,
        call_timeout_s: float,
        misbehaves: bool = False,
    ) -> None:
        self.identity = identity
        self.is_16 = version == "OCPP1.6"
        self._csms = csms
        self._misbehaves = misbehaves
        self._random = Random(seed)
        self._settle_s = SETTLE_TIMEOUTS * call_timeout_s
        self._lines: deque[str] = deque(maxlen=120)
        self._faults: list[str] = []
        self._steps: list[str] = []
        environ = environment(csms.url, version, **SETTINGS, call_timeout_s=call_timeout_s)
        settings = read_settings(environ | {"CHARGER_IDENTITY": identity})
        self.model = build_charge_point(settings, EventLog(self._read_line))
        self._connector = self.model.station.connectors[0]
        self._energy_wh = self._connector.energy_wh

    async def live_through(self, sessions: int) -> None:
        """Raises BrokenPromise."""
        life = asyncio.create_task(live(self.model))
        try:
            for _ in range(sessions):
                await self._live_through_one(life)
            await self._expect(lambda: not self.model.has_queued_messages(None), "the queue does not empty")
            self._check_transactions()
        finally:
            life.cancel()
            await asyncio.wait([life])

    async def _live_through_one(self, life: "asyncio.Task[None]") -> None:
        self._steps.clear()
        if self._random.random() < ONLINE_SHARE:
            await self._expect(lambda: self.model.reachable, "the charger is not accepted")
        await self._do(self._random.choice(self._starts()))
        if self._random.random() < CHARGING_SHARE:
            await self._await_transaction()
        if self._misbehaves:
            await self._do(self._misbehave)
        for _ in range(self._random.randrange(4)):
            await self._do(self._random.choice(self._events()))
        self.model.misbehaviour.stop()
        for step in (self._end_fault, self._stop_session, self._unplug, self._make_operative):
            await self._do(step)
        await self._expect(
            lambda: self._connector.is_free and not self._connector.plugged, "the connector is stuck"
        )
        self._check(not life.done(), "the charger's life ended")
        self._check(not self._faults, "the charger logged a fault of its own")

    # Steps

    def _starts(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self._start_remotely,
            self._plug_and_show,
            self._show_and_plug,
            self._start_remotely_with_profile,
            self._start_session,
            self._start_raw,
        ]

    def _events(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self._pause,
            self._pause,
            self._cut_link,
            self._show_tag,
            self._show_other_tag,
            self._stop_energy,
            self._suspend,
            self._fault,
            self._reset,
            self._make_inoperative,
            self._stop_remotely,
            self._unlock,
            self._trigger_status,
            self._unplug,
            self._start_remotely,
        ]

    async def _do(self, step: Callable[[], Awaitable[None]]) -> None:
        self._steps.append(step.__name__)
        await step()
        await asyncio.sleep(self._random.random() * 0.03)
        self.model.station.energy.update_meters()
        self._check(self._connector.energy_wh >= self._energy_wh, "the register fell")
        self._energy_wh = self._connector.energy_wh

    async def _start_remotely(self) -> None:
        if self.is_16:
            await self._request("RemoteStartTransaction", {"connectorId": 1, "idTag": TAG})
        else:
            token = {"idToken": TAG, "type": "ISO14443"}
            await self._request(
                "RequestStartTransaction", {"evseId": 1, "remoteStartId": 7, "idToken": token}
            )

    async def _start_remotely_with_profile(self) -> None:
        schedule = {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": self._random.choice((0.0, 3000.0, -1.0))}],
        }
        profile: Payload = {
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
        }
        if self.is_16:
            profile |= {"chargingProfileId": 1, "chargingSchedule": schedule}
            payload = {"connectorId": 1, "idTag": TAG, "chargingProfile": profile}
            await self._request("RemoteStartTransaction", payload)
        else:
            profile |= {"id": 1, "chargingSchedule": [schedule | {"id": 1}]}
            token = {"idToken": TAG, "type": "ISO14443"}
            payload = {"evseId": 1, "remoteStartId": 7, "idToken": token, "chargingProfile": profile}
            await self._request("RequestStartTransaction", payload)

    async def _plug_and_show(self) -> None:
        self._act("PlugIn")
        await self._pause()
        self._act("PresentToken", idToken=TAG)

    async def _start_session(self) -> None:
        ends: list[Payload] = [{}, {"duration_seconds": 1}, {"target_energy_kwh": 0.001}]
        self._begin("start_session", id_tag=TAG, **self._random.choice(ends))

    async def _start_raw(self) -> None:
        self._begin("start_transaction", id_tag=TAG)

    async def _stop_session(self) -> None:
        self._begin("stop_session")

    async def _suspend(self) -> None:
        self._begin("suspend_evse")

    async def _show_and_plug(self) -> None:
        self._act("PresentToken", idToken=TAG)
        await self._pause()
        self._act("PlugIn")

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.random() * 0.2)

    async def _await_transaction(self) -> None:
        """For a while: the CSMS may have refused the token or the start."""
        deadline_s = time.monotonic() + 1
        while self._connector.transaction is None and time.monotonic() < deadline_s:
            await asyncio.sleep(0.01)

    async def _cut_link(self) -> None:
        self._csms.cut(self.identity)

    async def _show_tag(self) -> None:
        self._act("PresentToken", idToken=TAG)

    async def _show_other_tag(self) -> None:
        self._act("PresentToken", idToken=OTHER_TAG)

    async def _stop_energy(self) -> None:
        self._act("StopEnergy")

    async def _fault(self) -> None:
        self._act("Fault", fault="OverCurrentFailure")

    async def _misbehave(self) -> None:
        event = self._random.choice(MISBEHAVIOUR)
        self._steps.append(str(event))
        await self.model.actions.perform("misbehave", event)

    async def _end_fault(self) -> None:
        self._act("ClearFault")

    async def _unplug(self) -> None:
        self._act("Unplug")

    async def _reset(self) -> None:
        kinds = ("Soft", "Hard") if self.is_16 else ("OnIdle", "Immediate")
        await self._request("Reset", {"type": self._random.choice(kinds)})

    async def _make_inoperative(self) -> None:
        await self._change_availability("Inoperative")

    async def _make_operative(self) -> None:
        """The operator repeats it until it is so: the charger may be offline, or not accepted yet."""
        deadline_s = time.monotonic() + self._settle_s
        while not self._connector.operative:
            self._check(time.monotonic() < deadline_s, "the connector cannot be made operative")
            await self._change_availability("Operative")
            await asyncio.sleep(0.05)

    async def _change_availability(self, kind: str) -> None:
        if self.is_16:
            await self._request("ChangeAvailability", {"connectorId": 1, "type": kind})
        else:
            await self._request("ChangeAvailability", {"evse": {"id": 1}, "operationalStatus": kind})

    async def _stop_remotely(self) -> None:
        if self.is_16:
            known = len(self._csms.transaction_ids[self.identity])
            await self._request("RemoteStopTransaction", {"transactionId": known})
        elif self._connector.transaction:
            await self._request("RequestStopTransaction", {"transactionId": self._connector.transaction.id})

    async def _unlock(self) -> None:
        place = {"connectorId": 1} if self.is_16 else {"evseId": 1, "connectorId": 1}
        await self._request("UnlockConnector", place)

    async def _trigger_status(self) -> None:
        place: Payload = {"connectorId": 1} if self.is_16 else {"evse": {"id": 1, "connectorId": 1}}
        await self._request("TriggerMessage", {"requestedMessage": "StatusNotification"} | place)

    async def _request(self, action: str, payload: Payload) -> None:
        await self._csms.request(self.identity, action, payload)

    def _begin(self, name: str, **event: object) -> None:
        self.model.actions.begin(name, event)

    def _act(self, name: str, **fields: object) -> None:
        self.model.data_transfer.perform(name, fields)

    # Promises

    def _check_transactions(self) -> None:
        """Every transaction that the CSMS heard of has ended for it, completely."""
        received = self._csms.received[self.identity]
        if self.is_16:
            started = set(self._csms.transaction_ids[self.identity].values())
            stopped = [each["transactionId"] for each in received.values() if "meterStop" in each]
            self._check(
                sorted(stopped) == sorted(started), f"started {sorted(started)}, stopped {sorted(stopped)}"
            )
            return
        events: dict[str, list[Payload]] = {}
        for payload in received.values():
            events.setdefault(payload["transactionInfo"]["transactionId"], []).append(payload)
        for transaction_id, each in events.items():
            kinds = [payload["eventType"] for payload in each]
            numbers = [payload["seqNo"] for payload in each]
            complete = kinds[0] == "Started" and kinds[-1] == "Ended" and numbers == list(range(len(each)))
            self._check(
                complete, f"{transaction_id} was reported as {list(zip(kinds, numbers, strict=True))}"
            )

    async def _expect(self, condition: Callable[[], bool], problem: str) -> None:
        try:
            await wait_until_async(condition, within_s=self._settle_s)
        except TimeoutError:
            self._check(False, problem)

    def _check(self, holds: bool, problem: str) -> None:
        if not holds:
            state = self.model.data_transfer.perform("State", {}).data
            story = "\n".join([f"steps: {self._steps}", f"state: {state}", *self._faults, *self._lines])
            raise BrokenPromise(f"{self.identity}: {problem}\n{story}")

    def _read_line(self, line: str) -> None:
        self._lines.append(line)
        if '"level": "error"' in line:
            self._faults.append(line)


async def drive(
    chargers: int,
    sessions_each: int,
    *,
    seed: int,
    call_timeout_s: float,
    wrong_share: float = 0.2,
    misbehaves: bool = False,
) -> WrongCsms:
    """Sessions at chargers of all versions in turn, all at once. Returns the CSMS. Raises BrokenPromise.

    A call must not time out because the machine is busy: the CSMS has answered it, and would be sent again.
    """
    async with WrongCsms(wrong_share=wrong_share) as csms:
        versions = list(VERSIONS)
        drivers = [
            RandomCharger(
                csms,
                f"CP-{seed}-{number}",
                versions[number % len(versions)],
                seed=seed * 1_000_003 + number,
                call_timeout_s=call_timeout_s,
                misbehaves=misbehaves,
            )
            for number in range(chargers)
        ]
        tasks = [asyncio.create_task(driver.live_through(sessions_each)) for driver in drivers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if csms.sent_again:
            raise BrokenPromise("sent again after it was answered:\n" + "\n".join(csms.sent_again[:20]))
        return csms
