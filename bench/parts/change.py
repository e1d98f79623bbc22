"""Change: from the PUT of a charger's URL and password to its boot at the new CSMS, and which calls of ECS that takes."""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from statistics import median
from time import monotonic

import httpx
from websockets.asyncio.server import serve
from websockets.typing import Subprotocol

from bench.report import Budget, Report, Table
from bench.support.csms import Csms
from bench.support.load import BadAnswer, p99
from bench.support.stack import Stack, running_stack
from embedded.ports import HOST

UPDATES = 200
IDENTITY = "CP-CHANGE"
WITHIN_S = 2.0
#: The embedded ECS serves these too: the log reader's.
OF_CLOUDWATCH = {"FilterLogEvents", "GetLogEvents", "DescribeLogGroups", "DescribeLogStreams"}
#: Of the ECS calls that the workers make: Amazon's quotas.
QUOTAS = {"ECS_BUDGET_SHARE": "0.9"}


def measure() -> Report:
    with running_stack(with_link=True, **QUOTAS) as stack, stack.client("change") as client:
        times_s, changing, describing = asyncio.run(_measure(stack, client))
    return _report(times_s, changing, describing)


async def _measure(stack: Stack, client: httpx.Client) -> tuple[list[float], int, int]:
    """The time of each update, and the calls of ECS meanwhile: those that change something, and the observer's."""
    names = [Subprotocol("ocpp1.6")]
    systems = Csms(heartbeat_s=300), Csms(heartbeat_s=300)
    async with (
        serve(systems[0].serve, HOST, 0, subprotocols=names) as first,
        serve(systems[1].serve, HOST, 0, subprotocols=names) as second,
    ):
        urls = [f"ws://{HOST}:{next(iter(each.sockets)).getsockname()[1]}" for each in (first, second)]
        charger_id = await asyncio.to_thread(_create, client, urls[0])
        await _boot(systems[0], 0)
        before = stack.ecs_calls()
        times_s = [
            await _move(client, charger_id, urls[number % 2], systems[number % 2], number)
            for number in range(1, UPDATES + 1)
        ]
        calls = stack.ecs_calls()[len(before) :]
        await asyncio.to_thread(client.delete, f"/ocpp/chargers/{charger_id}")
    calls = [call for call in calls if call not in OF_CLOUDWATCH]
    describing = sum(call.startswith(("Describe", "List")) for call in calls)
    return times_s, len(calls) - describing, describing


def _create(client: httpx.Client, url: str) -> str:
    body = {
        "identity": IDENTITY,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": url,
    }
    answer = client.post("/ocpp/chargers?wait=25", json=body).raise_for_status()
    return str(answer.json()["charger_id"])


async def _move(client: httpx.Client, charger_id: str, url: str, csms: Csms, number: int) -> float:
    """Seconds from the PUT to the boot there, with the new password. Raises BadAnswer for another one."""
    known, began_s = len(csms.boots), monotonic()
    password = f"password-{number}"
    change = {"ws_url": url, "security": {"password": password}}
    answer = await asyncio.to_thread(client.put, f"/ocpp/chargers/{charger_id}", json=change)
    answer.raise_for_status()
    await _boot(csms, known)
    request = csms.links[-1].request
    shown = request.headers.get("Authorization") if request else None
    if shown != f"Basic {b64encode(f'{IDENTITY}:{password}'.encode()).decode()}":
        raise BadAnswer(f"update {number}: the charger came with another password")
    return csms.boots[-1] - began_s


async def _boot(csms: Csms, known: int) -> None:
    """Until the charger boots once more than `known` times."""
    async with asyncio.timeout(30):
        while len(csms.boots) <= known:
            await asyncio.sleep(0.005)


def _report(times_s: Sequence[float], changing: int, describing: int) -> Report:
    table = Table(
        (f"{UPDATES} updates of the URL and the password, one after another", ""),
        [
            ("seconds until the boot at the new CSMS, p50", f"{median(times_s):.2f}"),
            ("p99", f"{p99(times_s):.2f}"),
            ("worst", f"{max(times_s):.2f}"),
            ("ECS calls that change something", f"{changing}"),
            ("ECS calls of the observer, for the whole fleet", f"{describing}"),
        ],
    )
    reason = "a tester who changes a charger looks at the CSMS next"
    budgets = [
        Budget("seconds until the boot, worst", max(times_s), reason, at_most=WITHIN_S),
        Budget("ECS calls for the updates", changing, "a change is a frame, not a redeployment", at_most=0),
    ]
    summary = (
        f"**{median(times_s):.1f} s from a PUT of another URL and password to the boot at the new CSMS** "
        f"(worst of {UPDATES}: {max(times_s):.1f} s), without a call of ECS."
    )
    return Report([table], budgets, summary)
