"""docs/aws.md says what the code does: its permissions and its quotas."""

import ast
import json
import re
from pathlib import Path

import botocore.session
from botocore import xform_name

from worker.ecs.budget import QUOTAS

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "aws.md").read_text()
#: What other actions need when they are allowed, and no client method calls.
IMPLIED = {"ecs:TagResource", "iam:PassRole"}


def called(attribute: str, service: str) -> set[str]:
    """The actions of the client methods that worker/ calls on `self.<attribute>`."""
    model = botocore.session.get_session().get_service_model(service)
    action_of = {xform_name(operation): operation for operation in model.operation_names}
    actions = set()
    for file in (ROOT / "worker").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr=owner), attr="get_paginator"),
                    args=[ast.Constant(value=str(method))],
                ) if owner == attribute:
                    actions.add(action_of[method])
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=owner), attr=method)) if (
                    owner == attribute and method in action_of
                ):
                    actions.add(action_of[method])
    return {f"{service}:{action}" for action in actions}


def test_the_policy_allows_exactly_what_the_worker_calls() -> None:
    [policy] = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    statements = json.loads(policy)["Statement"]
    allowed = [action for statement in statements for action in statement["Action"]]

    assert len(allowed) == len(set(allowed))
    assert set(allowed) - IMPLIED == called("_ecs", "ecs") | called("_logs", "logs")
    assert set(allowed) >= IMPLIED


def test_every_call_to_ecs_has_a_quota() -> None:
    known = {f"ecs:{operation}" for quota in QUOTAS.values() for operation in quota.operations}

    assert known == called("_ecs", "ecs")


def test_the_quotas_are_those_of_the_code() -> None:
    table = DOCUMENT.split("## Quotas and costs")[1]
    for group, quota in QUOTAS.items():
        [row] = [line for line in table.splitlines() if line.startswith("|") and f"`{group}`" in line]
        _, _, per_second, bursts, _, _ = (cell.strip() for cell in row.split("|"))

        assert float(per_second) == quota.per_second
        assert f"{quota.burst:g}" in bursts.split(", ")
