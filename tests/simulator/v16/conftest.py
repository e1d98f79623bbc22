import pytest


@pytest.fixture
def version() -> str:
    return "OCPP1.6"
