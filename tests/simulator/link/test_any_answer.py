"""Whatever a CSMS answers to any call: the queue moves on, and the charger goes on."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.link.schemas import SCHEMA_ROOT
from simulator.versions import VERSIONS, Version
from tests.simulator.charger import LocalCharger
from tests.simulator.payloads import Payloads
from tests.support.csms import ANSWERS, Csms
from tests.support.waiting import wait_until_async

NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**18), 1e308]))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=8,
)
TIMES = st.sampled_from(
    ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00", "noon", "2030-01-01T12:00:00Z"]
)


def answers_of(version: Version) -> st.SearchStrategy[dict[str, str]]:
    """By action a whole answer as text, with ID in the place of the id of the call."""
    frames = {action: _frames(version, action) for action in sorted(ANSWERS[version.subprotocol])}
    return st.fixed_dictionaries(frames)


def _frames(version: Version, action: str) -> st.SearchStrategy[str]:
    path = SCHEMA_ROOT / version.schema_set / "schemas" / f"{action}Response.json"
    payloads = Payloads(json.loads(path.read_text("utf-8-sig")), flaws=True).values()
    timed = st.tuples(payloads, TIMES).map(lambda pair: _with_time(*pair))
    frame = st.one_of(
        st.tuples(st.just(3), st.just("ID"), payloads),
        st.tuples(st.just(3), st.just("ID"), timed),
        st.lists(JSON, max_size=3).map(lambda parts: (3, "ID", *parts)),
        st.lists(JSON, max_size=4).map(lambda parts: (4, "ID", *parts)),
    )
    return st.one_of(
        frame.map(json.dumps),
        st.tuples(frame.map(json.dumps), st.integers(8, 60)).map(lambda cut: cut[0][: cut[1]]),
        st.just('[3,"ID",' + "[" * 5000),
    )


def _with_time(payload: Any, time: str) -> Any:
    return payload | {"currentTime": time} if isinstance(payload, dict) else payload


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_no_answer_of_a_csms_ends_the_charger_or_holds_up_its_messages(
    version: Version, data: st.DataObject
) -> None:
    rounds = data.draw(st.lists(answers_of(version), min_size=1, max_size=3))

    asyncio.run(_live_through(version, rounds))


async def _live_through(version: Version, rounds: list[dict[str, str]]) -> None:
    once = json.dumps({"TransactionMessageAttempts": 1, "TransactionMessageRetryInterval": 0})
    environ = {"configuration": once, "ev_unplug_s": "never"}
    async with Csms() as csms, LocalCharger(csms.url, version.name, **environ) as charger:
        link = await csms.accepted()
        for answers in rounds:
            for action, answer in answers.items():
                csms.raw_frames[action] = lambda unique_id, text=answer: [text.replace("ID", unique_id, 1)]  # type: ignore[misc]
            await _do_everything(charger)
        csms.raw_frames.clear()
        # A charger that was rejected meanwhile waits for the next boot, as it must.
        charger.model.registration.boot_again()
        await wait_until_async(lambda: charger.model.reachable and _is_idle(charger))
        charger.model.registration.send_heartbeat()
        await link.next("Heartbeat")
    assert charger.states().count("connecting") == 1
    assert not any("failed: " in remark and remark.startswith("CP-1") for remark in charger.remarks())


async def _do_everything(charger: LocalCharger) -> None:
    """Causes each kind of call whose answer has an effect, and waits until none is left."""
    model = charger.model
    for action in ("PlugIn", "PresentToken", "PresentToken", "Unplug"):
        model.data_transfer.perform(action, {"idToken": "TAG"})
        await wait_until_async(lambda: _is_idle(charger), within_s=5)
    model.registration.send_heartbeat()
    model.registration.boot_again()
    await wait_until_async(lambda: _is_idle(charger), within_s=5)


def _is_idle(charger: LocalCharger) -> bool:
    """What waits is not allowed to be sent, or there is nothing."""
    model = charger.model
    return not any(model.may_send(message) for message in model.delivery.outbox._messages)
