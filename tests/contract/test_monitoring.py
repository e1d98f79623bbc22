"""The alert rules and the Grafana dashboard name metrics and labels that a running stack has."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from embedded.process import running
from tests.contract.conftest import Api
from tests.support.fleet import NEW_CHARGER
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack, worker_program
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "monitoring" / "alerts.yml"
DASHBOARD = ROOT / "monitoring" / "grafana-dashboard.json"
PAGE = ROOT / "docs" / "monitoring.md"

#: What an expression may contain besides metrics, their labels and numbers.
FUNCTIONS = {"absent", "histogram_quantile", "increase", "max", "max_over_time", "min", "rate", "sum"}
WORDS = {"and", "by", "or", "unless"}

SELECTOR = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})?(?:\[\d+[smhd]\])?")
MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"\bby \(([a-z_, ]+)\)")


@dataclass(frozen=True)
class Expression:
    """An expression of Prometheus, and where it is."""

    place: str
    text: str

    def __str__(self) -> str:
        return self.place

    def selectors(self) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
        """The metrics, each with its matchers: label, operator, value."""
        text = GROUPING.sub("", self.text)
        for found in SELECTOR.finditer(text):
            if (
                found["name"] not in FUNCTIONS | WORDS
                and not text[found.start() - 1 : found.start()].isalnum()
            ):
                yield found["name"], MATCHER.findall(found["labels"] or "")

    def grouped_by(self) -> set[str]:
        return {label.strip() for labels in GROUPING.findall(self.text) for label in labels.split(",")}


RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
EXPRESSIONS = [
    *(Expression(rule["alert"], rule["expr"]) for rule in RULES),
    *(
        Expression(f"{panel['title']} {target['refId']}", target["expr"])
        for panel in PANELS
        for target in panel.get("targets", ())
    ),
]

Series = dict[str, list[dict[str, str]]]  #: the labels of each series, by metric


@pytest.fixture(scope="module")
def budgeted(stack: Stack) -> Iterator[None]:
    """A second worker, which has a rate budget: the embedded ECS needs none, so the first has none."""
    program = worker_program(stack, "budgeted")
    settings = {**stack.environment, "ECS_BUDGET_SHARE": "0.9"}
    with running(replace(program, env=settings), stack.folder / "logs" / "budgeted.log"):
        yield


@pytest.fixture(scope="module")
def series(budgeted: None, stack: Stack, csms: RememberingCsms, stack_token: Callable[..., str]) -> Series:
    """What /metrics shows of a stack with a charger that runs."""
    body = NEW_CHARGER | {"identity": "CP-MONITORED", "ws_url": csms.url}
    headers = {"Authorization": f"Bearer {stack_token()}"}
    created = httpx.post(f"{stack.api_url}/ocpp/chargers", json=body, headers=headers, **PLAIN_HTTP)
    assert created.status_code == 202, created.text
    csms.wait_for_boot("CP-MONITORED", 30)

    def shown() -> Series:
        found: Series = {}
        for family in text_string_to_metric_families(
            httpx.get(f"{stack.api_url}/metrics", **PLAIN_HTTP).text
        ):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample.labels)
        return found

    def has_all() -> Series | None:
        """The worker reports every 10 s, and logs are read some seconds after they were written."""
        found = shown()
        late = {
            "chargehand_ecs_calls_total",
            "chargehand_ecs_budget_turns_total",
            "chargehand_log_lag_seconds",
        }
        return found if late <= found.keys() else None

    found = wait_until(has_all, 40)
    assert found is not None
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_an_expression_is_made_of_series_that_exist(expression: Expression, series: Series) -> None:
    selectors = list(expression.selectors())
    labels: set[str] = set()

    assert selectors
    for name, matchers in selectors:
        assert name in series, f"there is no metric {name}"
        labels |= {label for each in series[name] for label in each}
        for label, operator, value in matchers:
            values = {each.get(label) for each in series[name]}
            assert values != {None}, f"{name} has no label {label}"
            if operator in ("=", "!="):
                assert value in values, f'{name} has no {label}="{value}"'
            else:
                re.compile(value)
    assert expression.grouped_by() <= labels
    assert expression.text.count("(") == expression.text.count(")")


@pytest.mark.parametrize(
    ("text", "selectors"),
    [
        ('max(a_b{older_than_s="300"}) - max(c) > 0', [("a_b", [("older_than_s", "=", "300")]), ("c", [])]),
        ("sum(max by (worker, operation) (rate(x_total[5m]))) > 0.2", [("x_total", [])]),
        ("absent(x)", [("x", [])]),
    ],
)
def test_the_metrics_of_an_expression_are_found(text: str, selectors: list[Any]) -> None:
    assert list(Expression("", text).selectors()) == selectors


def test_no_metric_has_a_label_that_names_an_organization_or_a_charger(series: Series, api: Api) -> None:
    charger_id = next(
        each["id"] for each in api("/ocpp/chargers")["data"] if each["identity"] == "CP-MONITORED"
    )
    values = {value for each in series.values() for labels in each for value in labels.values()}

    assert not values & {"acme", "CP-MONITORED", charger_id}
    assert not {name for each in series.values() for labels in each for name in labels} & {
        "organization",
        "organization_id",
        "charger",
        "charger_id",
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_part_of_the_page_that_says_what_to_do(rule: dict[str, Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in page
    assert rule["for"]
    assert rule["annotations"]["summary"]


def test_the_page_explains_no_alert_that_is_not_there() -> None:
    explained = re.findall(r"^### (Chargehand\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert explained == [rule["alert"] for rule in RULES]


def test_every_panel_of_the_dashboard_says_what_it_shows() -> None:
    charts = [panel for panel in PANELS if panel["type"] != "row"]

    assert charts
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in charts:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
