"""Locations: the sites that chargers belong to."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, text, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Location(Base):
    """A site. Its row stays when it is deleted, so that a repeated deletion is recognized."""

    __tablename__ = "locations"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)  #: unique within the organization

    slug: Mapped[str | None]
    name: Mapped[str | None]
    address: Mapped[str | None]
    city: Mapped[str | None]
    country: Mapped[str | None]  #: ISO 3166-1 alpha-2
    coordinates: Mapped[dict[str, Any] | None]  #: latitude and longitude in decimal degrees
    timezone: Mapped[str | None]  #: IANA name
    owner_name: Mapped[str | None]
    public: Mapped[bool | None] = mapped_column(server_default=true())
    status: Mapped[str | None] = mapped_column(server_default="active")
    labels: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")  #: names and values, all text
    expires_at: Mapped[datetime | None]  #: a worker then deletes it with its chargers; null for never
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]  #: hidden from clients since

    __table_args__ = (
        Index(
            "locations_list",
            "organization_id",
            text("created_at DESC"),
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "locations_slug",
            "organization_id",
            "slug",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "locations_expire",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL AND deleted_at IS NULL"),
        ),
    )
