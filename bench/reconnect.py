"""200 chargers on one machine: until all are accepted, and how they come back to a CSMS that was killed.

`python -m bench.reconnect` runs the whole product with a process per charger. It takes two to three minutes.
"""

import re
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import jwt

from bench.report import Budget, Report, Table
from embedded.ports import HOST, free_port
from embedded.postgres import running_postgres
from embedded.process import Program, running
from embedded.redis import running_redis
from shared.database.engine import migrate
from tests.conftest import JWT_SECRET
from tests.stack import Stack, answers, running_stack

CHARGERS = 200
WITHIN_S = 60  # after the last create, and after the CSMS's return
MOST_IN_A_SECOND = CHARGERS // 10

LINE = re.compile(r"^(\S+ \S+) (CP-\d+) (connected|booted)")


def measure() -> Report:
    """Bring the fleet up, pull the CSMS's plug, and watch it come back."""
    with (
        TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        running_postgres(Path(name) / "postgres") as database_url,
        running_redis(Path(name) / "redis") as redis_url,
    ):
        migrate(database_url)
        with running_stack(Path(name), database_url, redis_url) as stack:
            return _measure(stack, Path(name))


def _measure(stack: Stack, folder: Path) -> Report:
    port = free_port()
    first, second = folder / "csms-1.log", folder / "csms-2.log"
    with running(_csms(port), first):
        _create(stack, f"ws://{HOST}:{port}/ocpp")
        created_at = datetime.now()  # noqa: DTZ005  # the CSMS's log has local time, too
        accepted = _wait_for(first, "booted")
    with running(_csms(port), second):
        back_at = datetime.now()  # noqa: DTZ005
        returned = _wait_for(second, "connected")
    accepted_s = (max(accepted.values()) - created_at).total_seconds()
    returned_s = (max(returned.values()) - back_at).total_seconds()
    most = max(Counter(moment.replace(microsecond=0) for moment in returned.values()).values())
    rows = [
        ("accepted after the last create", f"{len(accepted)} of {CHARGERS}", f"{accepted_s:.1f}", ""),
        ("back after the CSMS", f"{len(returned)} of {CHARGERS}", f"{returned_s:.1f}", str(most)),
    ]
    budgets = [
        Budget("chargers that were accepted", len(accepted), at_least=CHARGERS),
        Budget("seconds from the last create until all were", accepted_s, at_most=WITHIN_S),
        Budget("chargers that came back", len(returned), at_least=CHARGERS),
        Budget("seconds from the CSMS's return until all had", returned_s, at_most=WITHIN_S),
        Budget("most of them in one second", most, at_most=MOST_IN_A_SECOND),
    ]
    return Report([Table(("", "chargers", "seconds", "most in one second"), rows)], budgets)


def _csms(port: int) -> Program:
    """The embedded CSMS; ended as if somebody pulled its plug."""
    argv = (sys.executable, "-m", "embedded.csms", "--port", str(port))
    return Program("csms", argv, is_ready=lambda: answers(f"http://{HOST}:{port}/health"), stop_within_s=0)


def _create(stack: Stack, ws_url: str) -> None:
    claims = {"sub": "bench", "role": "user", "organization_id": "bench", "exp": int(time.time()) + 3600}
    headers = {"Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=30) as client:
        for number in range(CHARGERS):
            body = {
                "identity": f"CP-{number:04d}",
                "brand_slug": "wallbox",
                "model_slug": "wallbox-pulsar-plus",
                "connector_type": "Type2",
                "ocpp_version": ("OCPP1.6", "OCPP2.0.1")[number % 2],
                "ws_url": ws_url,
            }
            client.post("/ocpp/chargers", json=body).raise_for_status()


def _wait_for(log: Path, event: str) -> dict[str, datetime]:
    """When each charger did it first, by the CSMS's log."""
    deadline = time.monotonic() + 2 * WITHIN_S
    seen: dict[str, datetime] = {}
    while len(seen) < CHARGERS and time.monotonic() < deadline:
        time.sleep(0.5)
        for found in filter(None, map(LINE.match, log.read_text().splitlines())):
            if found[3] == event:
                seen.setdefault(found[2], datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f"))  # noqa: DTZ007
    return seen


if __name__ == "__main__":
    print(measure().markdown())
