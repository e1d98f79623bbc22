"""The process of a host is killed while its chargers are in transactions."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from tests.hosts.product import Product, is_closed
from tests.support.waiting import wait_until

CHARGERS = 40  # and those of the other tests
SURPRISED = 4  # of them: their transactions begin right before the kill
BACK_WITHIN_S = 40  # after the start of the new task
WRITTEN_WITHIN_S = 25  # that they do not run: the lease of 15 s, and what a worker takes to write it
VERSIONS = {"16-": ("OCPP1.6", "RemoteStartTransaction"), "201-": ("OCPP2.0.1", "RequestStartTransaction")}
REQUESTS = {
    "RemoteStartTransaction": {"idTag": "TAG", "connectorId": 1},
    "RequestStartTransaction": {
        "idToken": {"idToken": "TAG", "type": "Central"},
        "remoteStartId": 7,
        "evseId": 1,
    },
}


@contextmanager
def watched(product: Product) -> Iterator[list[str]]:
    """Yields the chargers that were said to run though they had no connection since long before the request."""
    wrong: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            requested_at = monotonic()
            for identity, state in product.observed_states().items():
                if state == "running" and not product.csms.of(identity)[-1].was_open_since(
                    requested_at - WRITTEN_WITHIN_S
                ):
                    wrong.append(identity)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join()


def ended_transactions(product: Product, identity: str) -> list[str]:
    """The transactions that the charger has reported as ended, in the order of its messages."""
    return [
        str(call.payload.get("transactionId") or call.payload["transactionInfo"]["transactionId"])
        for call in product.csms.calls_of(identity)
        if call.action == "StopTransaction" or call.payload.get("eventType") == "Ended"
    ]


def begun_transactions(product: Product, identity: str) -> int:
    return sum(
        call.action == "StartTransaction" or call.payload.get("eventType") == "Started"
        for call in product.csms.calls_of(identity)
    )


@pytest.mark.usefixtures("fleet")
def test_the_chargers_of_a_killed_host_come_back_and_report_each_transaction_once(product: Product) -> None:
    """Those whose transaction is younger than the last memory that the link has may not know it any more."""
    quick = {"vehicle": {"plug_in_after_s": 0, "leave_after_s": "never"}}
    ids: dict[str, str] = {}
    for prefix, (version, _) in VERSIONS.items():
        ids |= product.create(prefix, CHARGERS // 2, ocpp_version=version, **quick)
    product.connected(ids)
    product.all_observed(ids.values(), "running")
    for identity in ids:
        product.csms.wait_for_boot(identity)
    surprised = list(ids)[:: CHARGERS // SURPRISED]

    def begin(identity: str) -> None:
        request = VERSIONS[f"{identity.partition('-')[0]}-"][1]
        product.csms.call(identity, request, REQUESTS[request])
        wait_until(lambda: begun_transactions(product, identity))

    for identity in ids.keys() - surprised:
        begin(identity)
    wait_until(lambda: product.in_transaction(ids.values()) == CHARGERS - SURPRISED)
    for identity in surprised:
        begin(identity)
    everybody = product.observed_states().keys()
    before = product.connected(everybody)

    with watched(product) as wrong:
        product.stack.set_faults({"kind": "no_capacity"})
        [killed] = product.host_pids()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: all(map(is_closed, before.values())))
        product.all_observed(ids.values(), "starting")
        reason = product.charger(ids["16-001"])["runtime"]["reason"]
        product.stack.set_faults()
        wait_until(lambda: set(product.host_pids()) - {killed}, within_s=60, what="the next task has started")
        product.connected(everybody, within_s=BACK_WITHIN_S)
        product.all_observed(ids.values(), "running")
    for identity in ids.keys() - surprised:
        wait_until(lambda each=identity: ended_transactions(product, each))  # type: ignore[misc]
    reported = Counter(len(ended_transactions(product, identity)) for identity in ids)
    product.delete(ids.values())

    assert reason
    assert wrong == []
    assert product.never_twice(everybody)
    assert {begun_transactions(product, identity) for identity in ids} == {1}
    assert reported.keys() <= {0, 1}
    assert reported[0] <= SURPRISED
    assert len(product.host_pids()) == 1
