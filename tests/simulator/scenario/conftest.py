import pytest

from simulator.versions import VERSIONS


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each test runs with every OCPP version."""
    return str(request.param)
