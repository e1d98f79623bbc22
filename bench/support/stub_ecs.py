"""A stub of ECS with a fixed latency: python -m bench.support.stub_ecs --port PORT --latency-ms MS.

It answers the calls that a settled fleet needs, and records every call.

GET / returns the calls so far as JSON; DELETE / clears them. Every service exists and runs what the last update set.
"""

import argparse
import asyncio
import json
from contextlib import suppress
from time import monotonic
from typing import Any

from embedded.ports import HOST

ARN = "arn:aws:ecs:us-east-1:123456789012"


class Stub:
    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._services: dict[str, tuple[int, str]] = {}  #: desired count and task definition, by service
        self._calls: list[tuple[str, str, float]] = []  #: operation, service, when it arrived

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                arrived_at = monotonic()
                headers = _headers(head)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                target = headers.get("x-amz-target")
                if target is None:
                    answer: Any = self._control(head)
                else:
                    operation = target.rpartition(".")[2]
                    answer = self._answer(operation, json.loads(body), arrived_at)
                    await asyncio.sleep(self._latency_s)
                content = json.dumps(answer).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n"
                    % len(content)
                    + content
                )
                await writer.drain()

    def _control(self, head: bytes) -> Any:
        """Clear the calls or return them."""
        if head.startswith(b"DELETE"):
            self._calls.clear()
        return self._calls

    def _answer(self, operation: str, request: dict[str, Any], arrived_at: float) -> dict[str, Any]:
        match operation:
            case "UpdateService":
                name = request["service"]
                self._calls.append((operation, name, arrived_at))
                self._services[name] = (request["desiredCount"], request["taskDefinition"])
                return {"service": self._service(name)}
            case "DescribeServices":
                self._calls.append((operation, "", arrived_at))
                return {"services": [self._service(name) for name in request["services"]], "failures": []}
            case "ListTasks":
                self._calls.append((operation, request["serviceName"], arrived_at))
                return {"taskArns": [f"{ARN}:task/chargehand/{request['serviceName']}"]}
            case "DescribeTasks":
                self._calls.append((operation, "", arrived_at))
                return {"tasks": [self._task(arn) for arn in request["tasks"]], "failures": []}
            case "FilterLogEvents":
                return {"events": []}
            case _:
                raise ValueError(f"the stub has no {operation}")

    def _setting(self, name: str) -> tuple[int, str]:
        return self._services.get(name, (1, f"{ARN}:task-definition/dep-{int(name.removeprefix('dep-'))}:1"))

    def _task(self, arn: str) -> dict[str, Any]:
        """A service's one task, which runs whatever the desired count is."""
        _, task_definition = self._setting(arn.rpartition("/")[2])
        return {
            "taskArn": arn,
            "taskDefinitionArn": task_definition,
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "containers": [],
        }

    def _service(self, name: str) -> dict[str, Any]:
        desired_count, task_definition = self._setting(name)
        deployment = {
            "id": "ecs-svc/1",
            "status": "PRIMARY",
            "taskDefinition": task_definition,
            "desiredCount": desired_count,
            "runningCount": desired_count,
            "pendingCount": 0,
            "rolloutState": "COMPLETED",
        }
        return {
            "serviceArn": f"{ARN}:service/chargehand/{name}",
            "serviceName": name,
            "clusterArn": f"{ARN}:cluster/chargehand",
            "status": "ACTIVE",
            "desiredCount": desired_count,
            "runningCount": desired_count,
            "pendingCount": 0,
            "taskDefinition": task_definition,
            "deployments": [deployment],
            "events": [],
        }


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    arguments = parser.parse_args()
    stub = Stub(arguments.latency_ms / 1000)
    server = await asyncio.start_server(stub.serve, HOST, arguments.port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
