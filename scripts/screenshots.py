"""Takes the pictures of docs/images: starts a stack with a small fleet, opens the dashboard in Chromium, in both themes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect

from embedded.ports import free_port
from scripts.steps import say
from tests.dashboard.browser import PHONE, find_chromium, running_browser
from tests.dashboard.conftest import sign_in
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MAX_BYTES = 150_000  # of a picture: a clone carries all of them
LOCATION = {
    "name": "Hamburg Nord",
    "address": "Langenhorner Chaussee 1",
    "city": "Hamburg",
    "country": "DE",
    "coordinates": {"latitude": 53.65, "longitude": 10.0},
}
WALLBOX = {"brand_slug": "wallbox", "model_slug": "wallbox-pulsar-plus", "connector_type": "Type2"}
FAST = {"brand_slug": "abb", "model_slug": "terra-184", "connector_type": "CCS2", "ocpp_version": "OCPP2.0.1"}
ACCEPTED = {"wait": 60, "until": "accepted"}
UNREACHABLE = "ws://127.0.0.1:1/ocpp"

GREY = "--disable-lcd-text"  # coloured edges of letters make a picture half as large again
DESK = {"width": 1120, "height": 660}
#: The picture, its path, whether it is of a phone, and the text to wait for.
VIEWS = (
    ("fleet", "/dashboard", DESK, "HN-0001"),
    ("charger", "/dashboard/chargers/{charging}", DESK, "HN-0001"),
    ("operations", "/dashboard/operations", DESK, "lifecycle"),
    ("phone", "/dashboard", PHONE, "HN-0001"),
)


def main() -> None:
    path = find_chromium()
    if path is None:
        sys.exit("there is no Chromium on the PATH (Debian and Ubuntu: apt-get install chromium)")
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="chargehand-screenshots-") as folder, running_stack(Path(folder)) as stack:
        ids = create_fleet(stack)
        with running_browser(path, GREY) as browser:
            for theme in ("light", "dark"):
                for name, view, viewport, text in VIEWS:
                    page = open_page(browser, stack, theme, viewport)
                    page.goto(view.format(**ids))
                    take(page, IMAGES / f"{name}-{theme}.png", text)
                    page.context.close()


@contextmanager
def running_stack(folder: Path) -> Iterator[dict[str, Any]]:
    """`chargehand up`, ready; yields what it says of itself."""
    say("Starting a stack ...")
    ports = {f"{part}PORT": str(free_port()) for part in ("", "CSMS_", "FLOWER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "chargehand", "up", "--json"],
        env=os.environ | ports | {"STATE_DIR": str(folder / "state")},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            sys.exit("the stack does not start: try `make run`")
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait()


def create_fleet(stack: dict[str, Any]) -> dict[str, str]:
    """Twelve chargers: most are accepted, one charges, one is stopped, one cannot connect. Returns the ids that views name."""
    say("Creating a fleet ...")
    headers = {"Authorization": f"Bearer {stack['token']}"}
    with httpx.Client(base_url=stack["api"], headers=headers, timeout=90) as client:

        def post(path: str, body: dict[str, Any], **query: Any) -> dict[str, Any]:
            answer = client.post(path, json=body, params=query)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
            return found

        here = {"location_id": post("/ocpp/locations", LOCATION)["id"], "location_name": LOCATION["name"]}

        def create(number: int, **fields: Any) -> str:
            kind = FAST if number % 4 == 0 else WALLBOX
            body = {
                "identity": f"HN-{number:04}",
                "charge_point_name": f"Bay {number}",
                "ws_url": stack["csms"],
            }
            created: str = post("/ocpp/chargers", body | here | kind | fields)["charger_id"]
            return created

        ids = [create(number) for number in range(1, 12)]
        create(12, ws_url=UNREACHABLE)
        for charger_id in ids:
            wait_until(lambda: is_ready(client, charger_id), 120)  # noqa: B023  # called at once
        post(f"/ocpp/chargers/{ids[6]}/stop-charger", {}, wait=60)
        post(f"/ocpp/chargers/{ids[0]}/restart-charger", {}, **ACCEPTED)
        interval = {"configuration": {"MeterValueSampleInterval": "2"}}
        for action, event in (
            ("configuration", interval),
            ("plug-connector", {"connector_id": 1}),
            ("present-token", {"id_tag": "CARD-1"}),
        ):
            body = {"target": {"charger_id": ids[0]}, "event": event}
            wait_until(lambda: client.post(f"/ocpp/commands/{action}", json=body).is_success, 60)  # noqa: B023
        logs = f"/ocpp/chargers/{ids[0]}/logs"
        wait_until(lambda: client.get(logs, params={"event": "MeterValues"}).json()["data"], 60)
    return {"charging": ids[0]}


def is_ready(client: httpx.Client, charger_id: str) -> bool:
    charger = client.get(f"/ocpp/chargers/{charger_id}").json()
    return bool(charger["status"] == "READY" and charger["runtime"]["ocpp"]["state"] == "accepted")


def open_page(browser: Browser, stack: dict[str, Any], theme: Any, viewport: Any) -> Page:
    context = browser.new_context(
        base_url=stack["api"], viewport=viewport, color_scheme=theme, reduced_motion="reduce"
    )
    sign_in(context, stack["token"])
    return context.new_page()


def take(page: Page, file: Path, text: str) -> None:
    """Write the picture when the text is there, and the page shows changes live."""
    expect(page.get_by_role("main").get_by_text(text).first).to_be_visible(timeout=20_000)
    expect(page.locator(".live-status")).to_contain_text("live", timeout=20_000)
    page.wait_for_timeout(1500)  # the parts of a view load one after the other
    page.screenshot(path=file)
    size = file.stat().st_size
    say(f"{file.relative_to(ROOT)}: {size / 1000:.0f} kB")
    if size > MAX_BYTES:
        sys.exit(f"{file.name} is larger than {MAX_BYTES / 1000:.0f} kB")


if __name__ == "__main__":
    main()
