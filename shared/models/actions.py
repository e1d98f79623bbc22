"""The actions of running chargers."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.base import Base
from shared.models.chargers import Charger
from shared.vocabulary import ActionStatus

_STATUSES = ", ".join(f"'{status}'" for status in ActionStatus)
_OPEN = text("status IN ('queued', 'received')")


class Action(Base):
    """One thing that happens to a running charger. The API inserts it, the link writes what comes of it."""

    __tablename__ = "actions"

    #: Chargers get their actions in this order.
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"))
    organization_id: Mapped[str]
    name: Mapped[str]  #: as plug_connector; a row of shared/actions.json
    event: Mapped[dict[str, Any]]  #: as sent, with its secrets masked
    sealed_event: Mapped[
        str | None
    ]  #: the encrypted event, where something is masked, until the action is final
    status: Mapped[str]
    reason: Mapped[str | None]  #: why it was not applied, as a sentence
    reason_code: Mapped[str | None]  #: the same as a code of docs/errors.md
    result: Mapped[dict[str, Any] | None]  #: what the charger answered
    requested_by: Mapped[str]  #: `sub` of the token
    request_id: Mapped[str | None]
    boot_id: Mapped[str | None]  #: the boot of the charger that it is for; a later one does not get it
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]  #: not sent to the charger from then on
    received_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    charger: Mapped["Charger"] = relationship(lambda: Charger, viewonly=True, lazy="raise")

    __table_args__ = (
        Index("actions_open", "charger_id", "id", postgresql_where=_OPEN),
        Index("actions_charger", "charger_id", "id"),
        Index("actions_organization", "organization_id", "id"),
        Index("actions_organization_open", "organization_id", "id", postgresql_where=_OPEN),
        Index("actions_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        CheckConstraint(f"status IN ({_STATUSES})", name="actions_status"),
        CheckConstraint(
            "(finished_at IS NULL) = (status IN ('queued', 'received'))", name="actions_final_is_finished"
        ),
    )
