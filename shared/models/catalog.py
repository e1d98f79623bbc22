"""The catalog of charger brands and models."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Brand(Base):
    __tablename__ = "catalog_brands"

    slug: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str]
    image_url: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CatalogModel(Base):
    """A charger model on the market."""

    __tablename__ = "catalog_models"

    brand_slug: Mapped[str] = mapped_column(ForeignKey("catalog_brands.slug"), primary_key=True)
    slug: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str]
    image_url: Mapped[str | None]
    connector_count: Mapped[int] = mapped_column(SmallInteger)
    current_type: Mapped[str]  #: ac or dc
    supported_kwh: Mapped[list[float]]  #: power levels in kW, whatever the contract's name says
    connector_types: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
