"""The routes under /ocpp/catalog: the brands and models of chargers. They need a token, but no organization."""

from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy import Row

from api.http import schemas
from api.http.document.operations import Access, Operations
from api.http.queries import PageQuery, PageQuerySchema
from api.resources import resources
from shared.fleet import catalog

operations = Operations(
    "catalog",
    __name__,
    url_prefix="/ocpp/catalog/brands",
    access=Access.TOKEN,
    description="Brands and models of real chargers. Needs a token, but no organization.",
)


@operations.operation("GET", "", query=PageQuerySchema, answer=schemas.BrandPage)
def list_brands(query: PageQuery) -> ResponseReturnValue:
    """List brands

    By name.
    """
    with resources().reads() as session:
        found = catalog.list_brands(session, page=query.page, limit=query.limit)
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation("GET", "/<slug:brand_slug>/models", query=PageQuerySchema, answer=schemas.ModelPage)
def list_models(query: PageQuery, brand_slug: str) -> ResponseReturnValue:
    """List models of a brand

    By name.
    """
    with resources().reads() as session:
        found = catalog.list_models(session, brand_slug=brand_slug, page=query.page, limit=query.limit)
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation("GET", "/<slug:brand_slug>/models/<slug:model_slug>", answer=schemas.ModelAnswer)
def get_model(brand_slug: str, model_slug: str) -> Row[*tuple[Any, ...]]:
    """Get a model"""
    with resources().reads() as session:
        return catalog.get_model(session, brand_slug=brand_slug, model_slug=model_slug)
