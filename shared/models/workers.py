"""What the worker processes report of themselves."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Worker(Base):
    """A worker process. It writes its row every few seconds, and deletes it at its end."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)  #: Celery's, as in `worker1@HOST`
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))  #: that it takes messages from now
    threads: Mapped[int]  #: tasks that it may run at once
    busy: Mapped[int]  #: tasks that it runs now
    tasks_done: Mapped[int] = mapped_column(BigInteger)  #: since its start
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]  #: its last report, by the database's clock
    ecs: Mapped[dict[str, Any]]  #: its calls to ECS: see worker/ecs/counts.py
    budget: Mapped[dict[str, Any]]  #: its share in the rate budget, by group: see worker/ecs/budget.py
