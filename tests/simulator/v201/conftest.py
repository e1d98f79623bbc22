import pytest


@pytest.fixture
def version() -> str:
    return "OCPP2.0.1"
