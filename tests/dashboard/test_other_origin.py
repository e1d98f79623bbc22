"""A page of another origin follows the fleet with the lines of docs/dashboards.md, word for word."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from embedded.ports import HOST, free_port
from embedded.process import running
from tests.dashboard.conftest import StackToken
from tests.docs.pages import ROOT, blocks
from tests.support.fleet import NEW_CHARGER
from tests.support.stack import Stack, api_program

[LINES] = [block.code for block in blocks(ROOT / "docs" / "dashboards.md") if block.language == "js"]
PAGE = f"""<!DOCTYPE html><title>Another dashboard</title><link rel="icon" href="data:,"><ul></ul><script>
{LINES}
function show(event, data) {{
    const item = document.createElement('li');
    item.textContent = `${{event}} ${{data.name ?? data.id ?? data.resumed}}`;
    document.querySelector('ul').append(item);
}}
</script>"""


class _Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of somebody else's page."""
    with ThreadingHTTPServer((HOST, 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def open_stack(stack: Stack, elsewhere: str) -> Iterator[Stack]:
    """An API that the page may call."""
    port = free_port()
    variables = stack.environment | {"BIND": f"{HOST}:{port}", "CORS_ORIGINS": elsewhere}
    allowing = replace(stack, api_url=f"http://{HOST}:{port}", environment=variables)
    with running(api_program(allowing), stack.folder / "logs" / "api-for-others.log", within_s=40):
        yield allowing


@pytest.fixture
def other_page(browser: Browser, elsewhere: str) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(elsewhere)
    yield page
    context.close()


def test_the_lines_of_the_page_follow_the_fleet_from_another_origin(
    open_stack: Stack, other_page: Page, client: httpx.Client, stack_token: StackToken
) -> None:
    other_page.evaluate("([api, token]) => { watch(api, token, show); }", [open_stack.api_url, stack_token()])
    expect(other_page.get_by_text("ready false")).to_be_visible()

    name = f"Bay {uuid4().hex[:6]}"
    charger_id = client.post(
        "/ocpp/chargers",
        json=NEW_CHARGER | {"identity": f"CP-{uuid4().hex[:12]}", "charge_point_name": name},
    ).json()["charger_id"]
    expect(other_page.get_by_text(f"charger {name}").first).to_be_visible()
    client.delete(f"/ocpp/chargers/{charger_id}")

    expect(other_page.get_by_text(f"removed {charger_id}").first).to_be_visible()
