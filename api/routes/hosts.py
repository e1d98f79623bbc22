"""The routes under /ocpp/hosts: parse, call, answer. Beyond the contract."""

from typing import Any

import structlog
from flask.typing import ResponseReturnValue

from api.http.auth import identity
from api.http.document.operations import Access, Operations, limit_rate
from api.http.hosts import examples
from api.http.hosts.answers import HostAnswer, HostPage, HostsQuery, HostsQuerySchema, shown
from api.http.schemas import Ignored
from api.resources import resources
from shared.fleet import hosts

log = structlog.get_logger(__name__)

operations = Operations(
    "hosts",
    __name__,
    url_prefix="/ocpp/hosts",
    access=Access.SCOPE,
    description="ECS services whose one task runs many shared chargers of an organization. Beyond the contract.",
)
operations.before_request(limit_rate)
HOST = "/<host_id:host_id>"


@operations.operation(
    "GET", "", query=HostsQuerySchema, answer=HostPage, errors=(429,), examples=examples.HOSTS
)
def list_hosts(query: HostsQuery) -> ResponseReturnValue:
    """List hosts

    Newest first: the organization's, or those of all organizations for an admin who names none.
    """
    with resources().reads() as session:
        found = hosts.list_hosts(
            session,
            organization_id=identity().organization_id,
            states=query.state,
            page=query.page,
            limit=query.limit,
        )
    data = [shown(host) for host in found.rows]
    return {"data": data, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation("GET", HOST, answer=HostAnswer, errors=(429,), examples=examples.HOST)
def get_host(host_id: str) -> dict[str, Any]:
    """Get host

    Its chargers are those of `GET /ocpp/chargers?host_id=`.
    """
    with resources().reads() as session:
        return shown(hosts.get_host(session, organization_id=identity().organization_id, host_id=host_id))


@operations.operation(
    "POST", f"{HOST}/drain", body=Ignored, answer=HostAnswer, errors=(429,), examples=examples.DRAINING
)
def drain_host(_body: object, host_id: str) -> dict[str, Any]:
    """Drain host

    It gets no further charger from then on. A repeat changes nothing.
    """
    sender = identity()
    with resources().sessions.begin() as session:
        found = hosts.drain_host(session, organization_id=sender.organization_id, host_id=host_id)
    log.info("host.draining", host_id=host_id, requested_by=sender.subject)
    return shown(found)
