"""A process with a CSMS that lets most chargers live in peace, and plagues those whose identity says so.

`python -m tests.simulator.hostile_csms CHARGERS SECONDS` prints its port. When all chargers are accepted it plagues for so many
seconds, on a slow machine until each plague has had its answers, prints a Report as JSON, and ends.
"""

import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import count, cycle
from time import monotonic
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.cpu_times import CpuTimes
from tests.support.waiting import wait_until_async

Call = tuple[str, dict[str, Any]]

HEARTBEAT_S = 2
DAYS = 100
PROFILES = 20
PATIENCE_S = 30  # on a slow machine
NOW = "2026-11-27T12:00:00Z"


class Report:
    """What the CSMS saw. Times are those of the monotonic clock, which all processes share."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0  #: the time of the plagues
        self.beats: defaultdict[str, list[float]] = defaultdict(list)  #: by identity
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)  #: to the plagues, by identity
        self.lost: list[str] = []  #: identities whose connection ended meanwhile
        self.cpu_times = CpuTimes()

    def as_json(self) -> str:
        return json.dumps(self.__dict__ | {"cpu_times": self.cpu_times.samples})


class HostileCsms:
    def __init__(self, chargers: int, plagued_s: float) -> None:
        self.report = Report()
        self._chargers, self._plagued_s = chargers, plagued_s
        self._accepted: set[str] = set()
        self._all_accepted, self._end = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        names = [Subprotocol(name) for name in ("ocpp1.6", "ocpp2.0.1")]
        async with serve(
            self._talk, "127.0.0.1", 0, subprotocols=names, compression=None, ping_interval=None
        ) as server:
            print(next(iter(server.sockets)).getsockname()[1], flush=True)
            sampling = asyncio.create_task(self.report.cpu_times.sample())
            await self._all_accepted.wait()
            await asyncio.sleep(HEARTBEAT_S)
            self.report.began = monotonic()
            await asyncio.sleep(self._plagued_s)
            with suppress(TimeoutError):
                await wait_until_async(self._is_plagued, within_s=PATIENCE_S)
            self.report.ended = monotonic()
            print(self.report.as_json(), flush=True)
            self._end.set()
            sampling.cancel()

    def _is_plagued(self) -> bool:
        """Every plague has reached its charger, the hundred days too."""
        answers = self.report.answers
        plagued = [identity for identity in self._accepted if identity.partition("-")[0] in PLAGUES]
        return all(answers[identity].total() > PROFILES for identity in plagued)

    async def _talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = socket.request.path.rpartition("/")[2]
        plague = asyncio.create_task(self._plague(socket, identity))
        try:
            async for text in socket:
                await self._take(socket, identity, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            plague.cancel()
            if not self._end.is_set():
                self.report.lost.append(identity)

    async def _take(self, socket: ServerConnection, identity: str, frame: list[Any]) -> None:
        if frame[0] != 2:
            self.report.answers[identity][_kind_of(frame)] += 1
            return
        if frame[2] == "Heartbeat":
            self.report.beats[identity].append(monotonic())
        now = next(_DATES) if frame[2] == "Heartbeat" and identity.startswith("DATES") else NOW
        await socket.send(json.dumps([3, frame[1], _answer(frame[2], now)]))
        if frame[2] == "BootNotification":
            self._accepted.add(identity)
            if len(self._accepted) == self._chargers:
                self._all_accepted.set()

    async def _plague(self, socket: ServerConnection, identity: str) -> None:
        """Sends the calls of this charger's plague, without waiting for answers, until the connection ends."""
        plague = (PLAGUES | {"SLOW": _slow}).get(identity.partition("-")[0])
        if plague is None:
            return
        await self._all_accepted.wait()
        try:
            async for action, payload in plague(socket.subprotocol == "ocpp1.6"):
                await socket.send(json.dumps([2, f"{next(_NUMBERS)}", action, payload]))
        except ConnectionClosed:
            pass


_NUMBERS = count()
#: Dates that cannot be, or that no calculation can bear.
_DATES = cycle(
    [
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01T00:00:00+99:99",
        "+275760-09-13T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "2026-W01-1T00:00:00Z",
        "1e308",
        "",
    ]
)


def _kind_of(frame: list[Any]) -> str:
    """`InternalError`, the status of an answer, or `answer`."""
    return str(frame[2]) if frame[0] == 4 else str(frame[2].get("status", "answer"))


def _answer(action: str, now: str) -> dict[str, Any]:
    if action == "BootNotification":
        return {"currentTime": now, "interval": HEARTBEAT_S, "status": "Accepted"}
    return {"currentTime": now} if action == "Heartbeat" else {}


async def _flood(is_v16: bool) -> AsyncIterator[Call]:
    """As fast as the charger reads."""
    everything = ("GetConfiguration", {}) if is_v16 else ("GetBaseReport", {"reportBase": "FullInventory"})
    for number in count():
        yield "TriggerMessage", {"requestedMessage": "Heartbeat"}
        yield everything[0], everything[1] | ({} if is_v16 else {"requestId": number})
        await asyncio.sleep(0)


async def _failing(is_v16: bool) -> AsyncIterator[Call]:
    """The charger's handler of ClearCache raises: the test breaks it."""
    while True:
        yield "ClearCache", {}
        await asyncio.sleep(0.2)


async def _slow(is_v16: bool) -> AsyncIterator[Call]:
    """The charger's handler of ClearCache does not end: the test makes it so."""
    while True:
        await asyncio.sleep(1)
        yield "ClearCache", {}


async def _huge(is_v16: bool) -> AsyncIterator[Call]:
    """Frames of nearly the size that a charger takes, as fast as it reads."""
    while True:
        yield "DataTransfer", {"vendorId": "Hostile", "data": "x" * 500_000}
        await asyncio.sleep(0)


async def _schedules(is_v16: bool) -> AsyncIterator[Call]:
    """20 daily profiles of 100 periods, then what they come to over 100 days."""
    for number in range(PROFILES):
        yield "SetChargingProfile", _profile(number, is_v16=is_v16)
    connector = {"connectorId": 1} if is_v16 else {"evseId": 1}
    while True:
        yield "GetCompositeSchedule", connector | {"duration": DAYS * 86_400}
        await asyncio.sleep(1)


async def _dates(is_v16: bool) -> AsyncIterator[Call]:
    """Wherever a CSMS may name one. So does its answer to each Heartbeat."""
    connector = {"connectorId": 1} if is_v16 else {"evseId": 1}
    for number in count():
        date = next(_DATES)
        request = _profile(number % PROFILES, is_v16=is_v16)
        profile = request["csChargingProfiles" if is_v16 else "chargingProfile"]
        schedule = profile["chargingSchedule"] if is_v16 else profile["chargingSchedule"][0]
        schedule["startSchedule"] = date
        yield "SetChargingProfile", request
        profile |= {"validFrom": date, "validTo": next(_DATES)}
        yield "SetChargingProfile", request
        yield "GetCompositeSchedule", connector | {"duration": 86_400}
        if is_v16:
            yield "ReserveNow", connector | {"expiryDate": date, "idTag": "TAG", "reservationId": 1}
            yield "UpdateFirmware", {"location": "ftp://127.0.0.1:9/new", "retrieveDate": date}
            yield (
                "GetDiagnostics",
                {"location": "ftp://127.0.0.1:9/", "startTime": date, "stopTime": next(_DATES)},
            )
        else:
            token = {"idToken": "TAG", "type": "Central"}
            yield "ReserveNow", connector | {"id": 1, "expiryDateTime": date, "idToken": token}
            firmware = {
                "location": "ftp://127.0.0.1:9/new",
                "retrieveDateTime": date,
                "installDateTime": next(_DATES),
            }
            yield "UpdateFirmware", {"requestId": number, "firmware": firmware}
            log = {
                "remoteLocation": "ftp://127.0.0.1:9/",
                "oldestTimestamp": date,
                "latestTimestamp": next(_DATES),
            }
            yield "GetLog", {"requestId": number, "logType": "DiagnosticsLog", "log": log}
        await asyncio.sleep(0.05)


def _profile(number: int, *, is_v16: bool) -> dict[str, Any]:
    periods = [{"startPeriod": 600 * each, "limit": 1000.0 + each + number} for each in range(100)]
    schedule = {
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": periods,
    }
    profile = {
        "stackLevel": number,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
    }
    if is_v16:
        profile |= {"chargingProfileId": number + 1, "chargingSchedule": schedule}
        return {"connectorId": 1, "csChargingProfiles": profile}
    profile |= {"id": number + 1, "chargingSchedule": [schedule | {"id": number + 1}]}
    return {"evseId": 1, "chargingProfile": profile}


#: By the first part of an identity. Others are left in peace.
PLAGUES: dict[str, Callable[[bool], AsyncIterator[Call]]] = {
    "FLOOD": _flood,
    "FAILS": _failing,
    "HUGE": _huge,
    "SCHEDULES": _schedules,
    "DATES": _dates,
}


if __name__ == "__main__":
    asyncio.run(HostileCsms(int(sys.argv[1]), float(sys.argv[2])).run())
