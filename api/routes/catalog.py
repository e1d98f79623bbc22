"""The brands and models that chargers are made of. They need a token, but no organization."""

from typing import Any

from flask.typing import ResponseReturnValue

from api.http import schemas
from api.http.examples import BRAND, MODEL, page_of
from api.http.operations import Access, Operations
from api.resources import resources
from shared.fleet import catalog

operations = Operations(
    "catalog",
    __name__,
    url_prefix="/ocpp/catalog/brands",
    access=Access.TOKEN,
    description="Brands and models of real chargers. Needs a token, but no organization.",
)


@operations.operation(
    "GET",
    "",
    query=schemas.PageQuery,
    answer=schemas.BrandPage,
    errors=(401, 403, 422, 500, 503),
    example=page_of(BRAND),
    summary="List brands",
    described="By name.",
)
def list_brands(query: dict[str, Any]) -> ResponseReturnValue:
    with resources().reads() as session:
        found = catalog.list_brands(session, **query)
    return {"data": found.rows, "total": found.total, "page": query["page"], "limit": query["limit"]}


@operations.operation(
    "GET",
    "/<slug:brand_slug>/models",
    query=schemas.PageQuery,
    answer=schemas.ModelPage,
    errors=(401, 403, 404, 422, 500, 503),
    example=page_of(MODEL),
    summary="List models of a brand",
    described="By name.",
)
def list_models(query: dict[str, Any], brand_slug: str) -> ResponseReturnValue:
    with resources().reads() as session:
        found = catalog.list_models(session, brand_slug=brand_slug, **query)
    return {"data": found.rows, "total": found.total, "page": query["page"], "limit": query["limit"]}


@operations.operation(
    "GET",
    "/<slug:brand_slug>/models/<slug:model_slug>",
    answer=schemas.ModelAnswer,
    errors=(401, 403, 404, 500, 503),
    example=MODEL,
    summary="Get a model",
)
def get_model(brand_slug: str, model_slug: str) -> Any:
    with resources().reads() as session:
        return catalog.get_model(session, brand_slug=brand_slug, model_slug=model_slug)
