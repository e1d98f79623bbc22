"""The catalog of brands and models, which every organization shares."""

from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from shared.fleet.errors import BrandNotFound, ModelNotFound
from shared.fleet.page import Page
from shared.models import Brand, CatalogModel

#: Every column of a model, and its brand's id.
_MODELS = select(*CatalogModel.__table__.columns, Brand.id.label("brand_id")).join(
    Brand, Brand.slug == CatalogModel.brand_slug
)


def list_brands(session: Session, *, page: int, limit: int) -> Page[Brand]:
    """All brands, by name."""
    total = session.scalar(select(func.count()).select_from(Brand)) or 0
    rows = session.scalars(
        select(Brand).order_by(Brand.name, Brand.slug).limit(limit).offset((page - 1) * limit)
    ).all()
    return Page(rows, total)


def list_models(session: Session, *, brand_slug: str, page: int, limit: int) -> Page[Row[*tuple[Any, ...]]]:
    """The brand's models, by name. Raises BrandNotFound."""
    if session.get(Brand, brand_slug) is None:
        raise BrandNotFound(brand_slug)
    of_brand = CatalogModel.brand_slug == brand_slug
    total = session.scalar(select(func.count()).select_from(CatalogModel).where(of_brand)) or 0
    rows = session.execute(
        _MODELS.where(of_brand)
        .order_by(CatalogModel.name, CatalogModel.slug)
        .limit(limit)
        .offset((page - 1) * limit)
    ).all()
    return Page(rows, total)


def get_model(session: Session, *, brand_slug: str, model_slug: str) -> Row[*tuple[Any, ...]]:
    """One model. Raises ModelNotFound, also for a model of another brand."""
    found = session.execute(
        _MODELS.where(CatalogModel.brand_slug == brand_slug, CatalogModel.slug == model_slug)
    ).one_or_none()
    if found is None:
        raise ModelNotFound(brand_slug, model_slug)
    return found
