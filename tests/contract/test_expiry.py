"""Chargers whose time is over leave nothing behind: at the CSMS, in ECS, and in the rows."""

from uuid import uuid4

import httpx
import sqlalchemy
from sqlalchemy import text

from tests.contract.conftest import Api
from tests.support.ecs_services import CLUSTER, clients
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until

#: What stays for its retention: logs, that the charger is gone, what a job did to it, and when its process was connected.
FOR_RETENTION = ("charger_log", "charger_events", "removed_chargers", "job_items", "control_sessions")


def tables_with_rows_of(stack: Stack, charger_ids: list[str]) -> set[str]:
    """All tables but those of FOR_RETENTION that name one of the chargers."""
    engine = sqlalchemy.create_engine(stack.database_url)
    with engine.connect() as connection:
        columns = connection.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
                " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
                " AND (column_name IN ('charger_id', 'process_id') OR (table_name, column_name) = ('chargers', 'id'))"
            )
        ).all()
        found = {
            table
            for table, column in columns
            if not table.startswith(FOR_RETENTION)
            and connection.scalar(
                text(f"SELECT EXISTS (SELECT FROM {table} WHERE {column} = ANY (:ids))"),  # noqa: S608  # of the schema
                {"ids": charger_ids},
            )
        }
    engine.dispose()
    return found


def in_ecs(stack: Stack, charger_ids: list[str]) -> list[str]:
    """What ECS still has of the chargers: services that are not gone, tasks, and task definitions."""
    ecs, _ = clients(stack.ecs_url)
    services = ecs.describe_services(cluster=CLUSTER, services=charger_ids)["services"]
    tasks = httpx.get(f"{stack.ecs_url}/_chargehand/tasks", auth=stack.ecs_owner, **PLAIN_HTTP).json()
    return [
        *(one["serviceName"] for one in services if one["status"] != "INACTIVE"),
        *(task["service"] for task in tasks if task["service"] in charger_ids),
        *(
            arn
            for charger_id in charger_ids
            for arn in ecs.list_task_definitions(familyPrefix=charger_id)["taskDefinitionArns"]
        ),
    ]


def test_chargers_that_go_away_by_themselves_leave_nothing(
    stack: Stack, api: Api, csms: RememberingCsms
) -> None:
    run = uuid4().hex
    fleet = [f"CP-{run[:8]}-{number}" for number in range(3)]
    ids = []
    for identity in fleet:
        body = {
            "identity": identity,
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": csms.url,
            "labels": {"run": run},
            "ttl_seconds": 60,
        }
        ids.append(api("/ocpp/chargers", "POST", json=body)["charger_id"])
    for identity in fleet:
        csms.wait_for_boot(identity, within_s=15)
    *going, staying = ids
    api(f"/ocpp/chargers/{staying}", "PUT", json={"ttl_seconds": None})
    assert tables_with_rows_of(stack, going) >= {"chargers", "charger_labels", "charger_reports", "commands"}

    engine = sqlalchemy.create_engine(stack.database_url)
    with engine.begin() as connection:  # the minute is over
        connection.execute(text("UPDATE chargers SET expires_at = now() WHERE expires_at IS NOT NULL"))
    engine.dispose()

    wait_until(lambda: api(f"/ocpp/chargers?labels=run:{run}")["total"] == 1, 15)
    for identity in fleet[:2]:
        csms.wait_for_end(identity, within_s=15)
    wait_until(lambda: not in_ecs(stack, going) and not tables_with_rows_of(stack, going), 30)
    assert api(f"/ocpp/chargers/{staying}")["runtime"]["observed"] == "running"
    assert csms.open_now(fleet[2])
    api(f"/ocpp/chargers/{staying}", "DELETE")
