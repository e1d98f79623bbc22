"""The landing page: what the charger does now, and where its API is."""

from collections.abc import Iterable
from html import escape

from simulator.charge_point.charge_point import ChargePoint
from simulator.http_api.operations import OPERATIONS, Operation
from simulator.http_api.status import describe_connectors

#: Seconds after which a browser loads the page again.
REFRESH_S = 2

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid; padding: 0.25rem 1rem 0.25rem 0; text-align: left; vertical-align: top }
"""

COLUMNS = {
    "evse_id": "EVSE",
    "connector_id": "connector",
    "status": "status",
    "plugged": "plugged",
    "transaction_id": "transaction",
    "power_w": "power (W)",
    "energy_wh": "energy (Wh)",
    "soc_percent": "state of charge (%)",
    "fault": "fault",
}


def render_page(charge_point: ChargePoint, url: str) -> str:
    """HTML without scripts, and without a request to anywhere else. `url` is that of the page."""
    identity = escape(charge_point.settings.identity)
    state = "online, accepted" if charge_point.reachable else "online" if charge_point.online else "offline"
    connectors = ([each.get(name) for name in COLUMNS] for each in describe_connectors(charge_point))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_S}">
<title>{identity}: {state}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{identity}</h1>
<p>{escape(charge_point.version.name)} at {escape(charge_point.network.settings().url)}: <strong>{state}</strong>,
{escape(charge_point.registration.status)}. <a href="health">Health</a></p>
<h2>Connectors</h2>
{_table(COLUMNS.values(), connectors)}
<h2>Requests</h2>
<p>For example: <code>curl -X POST '{escape(url)}plug-connector?connector_id=1'</code></p>
<table>
<thead><tr><th scope="col">request</th><th scope="col">parameters (* required)</th><th scope="col">what it does</th></tr></thead>
<tbody>
{"".join(map(_describe, OPERATIONS))}</tbody>
</table>
</body>
</html>
"""


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def _cell(value: object) -> str:
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case _:
            text = str(value)
    return f"<td>{escape(text)}</td>"


def _describe(operation: Operation) -> str:
    request = f"<code>{operation.method} {escape(operation.path)}</code>"
    if operation.method == "GET":
        request = f'<a href="{escape(operation.path.lstrip("/"))}">{request}</a>'
    names = ", ".join(field.name + "*" * field.required for field in operation.fields)
    return f"<tr><td>{request}</td><td>{escape(names)}</td><td>{escape(operation.summary)}</td></tr>\n"
