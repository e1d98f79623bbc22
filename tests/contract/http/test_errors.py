"""Every error class of contract 12.4, where 3.2 declares it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from ocpplab import (
    BadRequestError,
    ChargerGroup,
    ChargerTemplate,
    Coordinates,
    ForbiddenError,
    InternalServerError,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnprocessableEntityError,
    UpdateLocationChargerItem,
)
from ocpplab.core.api_error import ApiError
from sqlalchemy import Engine, make_url, text

from embedded.ports import free_port
from tests.contract.http.conftest import Sdk
from tests.contract.http.test_answers import WALLBOX
from tests.contract.http.test_locations import CHARGER as TEMPLATE
from tests.contract.http.test_locations import PARIS
from tests.support.api_server import running_api
from tests.support.environment import Token

pytestmark = pytest.mark.usefixtures("backend", "sites")

CHARGER = {"charger_id": "dep-unknown"}
COMMAND: dict[str, Any] = CHARGER | {"request": {}}
LOCATION: dict[str, Any] = {"location_id": "unknown"}
MODEL = {"brand_slug": "abb", "model_slug": "terra-184"}

#: Each operation with arguments that fit.
OPERATIONS: dict[str, dict[str, Any]] = {
    "chargers.list": {},
    "chargers.create": WALLBOX,
    "chargers.get": CHARGER,
    "chargers.get_status": CHARGER,
    "chargers.update": CHARGER | {"name": "new"},
    "chargers.delete": CHARGER,
    "chargers.start_runtime": COMMAND,
    "chargers.stop_runtime": COMMAND,
    "chargers.reset_runtime": COMMAND,
    "chargers.get_logs": CHARGER,
    "catalog.list_brands": {},
    "catalog.list_models": {"brand_slug": "abb"},
    "catalog.get_model": MODEL,
    "locations.list": {},
    "locations.create": PARIS,
    "locations.get": LOCATION,
    "locations.update": LOCATION | {"name": "new"},
    "locations.delete": LOCATION,
    "location_chargers.list": LOCATION,
    "location_chargers.create": LOCATION
    | {"request": [ChargerGroup(template=ChargerTemplate(**TEMPLATE), chargers_number=1)]},
    "location_chargers.get_bulk_job": LOCATION | {"job_id": "7"},
    "location_chargers.update": LOCATION | {"chargers": [UpdateLocationChargerItem(**CHARGER)]},
    "location_chargers.delete": LOCATION | {"charger_ids": ["dep-unknown"]},
    "location_templates.list": {},
}
TENANT = [name for name in OPERATIONS if not name.startswith(("catalog.", "location_templates."))]
ABOUT_A_CHARGER = [name for name in TENANT if "charger_id" in OPERATIONS[name]]
ABOUT_A_LOCATION = [name for name in TENANT if OPERATIONS[name].items() >= LOCATION.items()]
IN_THE_DATABASE = [name for name in OPERATIONS if name != "location_templates.list"]
CREATES = ["chargers.create", "location_chargers.create"]
LIFECYCLE = ["chargers.start_runtime", "chargers.stop_runtime", "chargers.reset_runtime"]

#: Arguments that do not fit the schema.
MISFITS: dict[str, dict[str, Any]] = {
    "chargers.list": {"limit": 101},
    "chargers.create": {"identity": ""},
    "chargers.update": {"ocpp_version": "9"},
    "chargers.get_logs": {"offset": -1},
    "catalog.list_brands": {"page": 0},
    "catalog.list_models": {"limit": 0},
    "locations.list": {"limit": 101},
    "locations.create": {"country": "France"},
    "locations.update": {"coordinates": Coordinates(latitude=91, longitude=0)},
    "location_chargers.list": {"page": 0},
    "location_templates.list": {"type": "WIND"},
}


def detail(error: ApiError) -> Any:
    """Of the errors that the SDK does not parse: neither 400 nor 401 nor 403."""
    body: Any = error.body
    return body["detail"]


def header(error: ApiError, name: str) -> str:
    assert error.headers is not None
    return error.headers[name]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_bad_token_is_unauthorized(sdk: Sdk, operation: str) -> None:
    with pytest.raises(UnauthorizedError) as raised:
        replace(sdk, token="x.y.z")(operation, **OPERATIONS[operation])

    assert isinstance(raised.value.body.detail, str)
    assert header(raised.value, "www-authenticate").startswith("Bearer ")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_user_who_names_an_organization_is_forbidden(sdk: Sdk, operation: str) -> None:
    with pytest.raises(ForbiddenError) as raised:
        replace(sdk, organization_id="acme")(operation, **OPERATIONS[operation])

    assert isinstance(raised.value.body.detail, str)


@pytest.mark.parametrize("operation", TENANT)
def test_an_admin_who_names_no_organization_is_forbidden(sdk: Sdk, token: Token, operation: str) -> None:
    with pytest.raises(ForbiddenError) as raised:
        replace(sdk, token=token(role="admin"))(operation, **OPERATIONS[operation])

    assert isinstance(raised.value.body.detail, str)


@pytest.mark.parametrize("operation", [name for name in ABOUT_A_CHARGER if name != "chargers.get_logs"])
def test_an_unknown_charger_is_not_found(sdk: Sdk, operation: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        sdk(operation, **OPERATIONS[operation])

    assert detail(raised.value) == "Charger dep-unknown not found"


@pytest.mark.parametrize("operation", ABOUT_A_LOCATION)
def test_an_unknown_location_is_not_found(sdk: Sdk, operation: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        sdk(operation, **OPERATIONS[operation])

    assert "not found" in detail(raised.value)


def test_the_logs_of_an_unknown_charger_are_the_generic_404(sdk: Sdk) -> None:
    """The contract declares no 404 here."""
    with pytest.raises(ApiError) as raised:
        sdk("chargers.get_logs", **CHARGER)

    assert type(raised.value) is ApiError
    assert raised.value.status_code == 404


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("catalog.list_models", {"brand_slug": "nobody"}),
        ("catalog.get_model", MODEL | {"model_slug": "nothing"}),
        ("catalog.get_model", MODEL | {"brand_slug": "nobody"}),
    ],
)
def test_an_unknown_brand_or_model_is_not_found(sdk: Sdk, operation: str, arguments: dict[str, str]) -> None:
    with pytest.raises(NotFoundError) as raised:
        sdk(operation, **arguments)

    assert isinstance(detail(raised.value), str)


@pytest.mark.parametrize("operation", MISFITS)
def test_arguments_that_do_not_fit_are_unprocessable(sdk: Sdk, operation: str) -> None:
    with pytest.raises(UnprocessableEntityError) as raised:
        sdk(operation, **OPERATIONS[operation] | MISFITS[operation])

    (item,) = detail(raised.value)
    assert item["loc"][1] == next(iter(MISFITS[operation]))
    assert isinstance(item["msg"], str)
    assert isinstance(item["type"], str)


@pytest.mark.parametrize("operation", LIFECYCLE)
def test_a_charger_without_a_runtime_is_unprocessable(sdk: Sdk, operation: str) -> None:
    charger_id = sdk("chargers.create", **WALLBOX).charger_id

    with pytest.raises(UnprocessableEntityError) as raised:
        sdk(operation, charger_id=charger_id, request={})

    (item,) = detail(raised.value)
    assert (item["loc"], item["type"]) == (["path", "charger_id"], "value_error")


@pytest.mark.parametrize(
    "fields", [{"brand_slug": "nobody"}, {"model_slug": "terra-184"}, {"connector_type": "CCS2"}], ids=str
)
def test_a_create_against_the_catalog_is_a_bad_request(sdk: Sdk, fields: dict[str, str]) -> None:
    with pytest.raises(BadRequestError) as raised:
        sdk("chargers.create", **WALLBOX | fields)

    assert isinstance(raised.value.body.detail, str)


def test_a_taken_identity_is_a_bad_request(sdk: Sdk, make_ready: Callable[[str], None]) -> None:
    make_ready(sdk("chargers.create", **WALLBOX).charger_id)

    with pytest.raises(BadRequestError) as raised:
        sdk("chargers.create", **WALLBOX)

    assert raised.value.body.detail == "Identity CP-TEST-001 already exists"


def test_an_update_against_the_catalog_is_a_bad_request(sdk: Sdk) -> None:
    charger_id = sdk("chargers.create", **WALLBOX).charger_id

    with pytest.raises(BadRequestError) as raised:
        sdk("chargers.update", charger_id=charger_id, connector_type="CHAdeMO")

    assert isinstance(raised.value.body.detail, str)


@pytest.fixture
def broken_schema(backend_engine: Engine, sites: None) -> Iterator[None]:
    """A database that answers, but not as we expect: an error of ours. Mended before `backend` is emptied."""
    with backend_engine.begin() as connection:
        for table in ("chargers", "catalog_brands", "locations", "jobs"):
            connection.execute(text(f"ALTER TABLE {table} RENAME TO hidden_{table}"))
    yield
    with backend_engine.begin() as connection:
        for table in ("chargers", "catalog_brands", "locations", "jobs"):
            connection.execute(text(f"ALTER TABLE hidden_{table} RENAME TO {table}"))


@pytest.mark.usefixtures("broken_schema")
@pytest.mark.parametrize("operation", IN_THE_DATABASE)
def test_an_error_of_ours_is_an_internal_server_error(sdk: Sdk, operation: str) -> None:
    with pytest.raises(InternalServerError) as raised:
        sdk(operation, **OPERATIONS[operation])

    assert raised.value.body == {"detail": "Internal server error"}
    assert header(raised.value, "x-request-id")


@pytest.fixture(scope="module")
def without_database(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose database is away."""
    url = make_url("postgresql://nobody@127.0.0.1/none").set(port=free_port())
    folder = tmp_path_factory.mktemp("api")
    with running_api(url.render_as_string(), redis_url, folder, WEB_CONCURRENCY="1") as base_url:
        yield base_url


@pytest.mark.parametrize("operation", IN_THE_DATABASE)
def test_without_a_database_the_client_is_asked_to_try_again(
    sdk: Sdk, without_database: str, operation: str
) -> None:
    """Declared for the creates of chargers; to the other operations it is the generic 503."""
    kind = ServiceUnavailableError if operation in CREATES else ApiError

    with pytest.raises(ApiError) as raised:
        replace(sdk, base_url=without_database)(operation, **OPERATIONS[operation])

    assert type(raised.value) is kind
    assert raised.value.status_code == 503
    assert detail(raised.value) == "The database is not available"
    assert int(header(raised.value, "retry-after")) > 0


def test_a_route_that_is_not_there_is_json_to_the_sdk_too(sdk: Sdk) -> None:
    with pytest.raises(ApiError) as raised:
        sdk("chargers.get", charger_id="..%2Fsecret")

    assert raised.value.status_code == 404
    assert raised.value.body == {
        "detail": "Nothing is here: there is no such route, or an id in the path has another form"
    }
