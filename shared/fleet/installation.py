"""Which ECS runs the chargers of a database. The first worker records it, and every later one compares.

A worker with another region, account, cluster or prefix would find none of the services, and create all of them again.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.models import Installation

CUSTOM = "custom"  #: the partition of an ECS that is not Amazon's

ARN = re.compile(
    r"arn:(?P<partition>[a-z-]+):ecs:(?P<region>[a-z0-9-]+):(?P<account>[\w.-]*)"
    r":service/(?P<cluster>[\w-]+)/(?P<name_prefix>[\w-]*)\*",
    re.ASCII,
)


class NotServices(Exception):
    """The text is not an ARN of ECS services."""


@dataclass(frozen=True, slots=True)
class Services:
    """The ECS services that chargers run as, written as IAM writes them: arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*"""

    partition: str
    region: str
    account: str  #: of AWS, or the name of a custom ECS; empty when unknown
    cluster: str
    name_prefix: str  #: ECS_NAME_PREFIX

    @classmethod
    def parse(cls, text: str) -> "Services":
        """Raises NotServices."""
        found = ARN.fullmatch(text)
        if found is None:
            raise NotServices(f"{text!r} is not of the form arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*")
        return cls(**found.groupdict())

    def __str__(self) -> str:
        return f"arn:{self.partition}:ecs:{self.region}:{self.account}:service/{self.cluster}/{self.name_prefix}*"

    def may_be(self, other: "Services") -> bool:
        """Whether both are the same services. An unknown account matches any."""

        def rest(of: Services) -> tuple[str, ...]:
            return of.partition, of.region, of.cluster, of.name_prefix

        accounts = {self.account, other.account} - {""}
        return rest(self) == rest(other) and len(accounts) <= 1


def recorded(database: Engine) -> Services | None:
    """The services that the database's chargers run as; None before the first worker."""
    with database.connect() as connection:
        text = connection.scalar(select(Installation.services))
    return None if text is None else Services.parse(text)


def record(database: Engine, mine: Services) -> Services:
    """Record `mine` if nothing is recorded, or the same without an account. Returns the record. Safe to race."""
    with database.connect() as connection:
        connection.execute(insert(Installation).values(services=str(mine)).on_conflict_do_nothing())
        stored = Services.parse(connection.scalars(select(Installation.services)).one())
        if stored.account or not mine.account or not stored.may_be(mine):
            return stored
        connection.execute(
            update(Installation).where(Installation.services == str(stored)).values(services=str(mine))
        )
        return Services.parse(connection.scalars(select(Installation.services)).one())


def move(database: Engine, services: Services) -> None:
    """Record that the chargers run there from now on. Workers create the services there; the old ones stay."""
    new = insert(Installation).values(services=str(services))
    with database.connect() as connection:
        connection.execute(
            new.on_conflict_do_update(
                index_elements=[Installation.singleton],
                set_={"services": new.excluded.services, "recorded_at": func.now()},
            )
        )
