"""One product for the tests of this folder, and the shared chargers that they have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.product import Product, running_product

CHARGERS = 20


@pytest.fixture(scope="package")
def product(server_folder: Path) -> Iterator[Product]:
    with running_product(server_folder / "hosts") as product:
        yield product


@pytest.fixture(scope="package")
def fleet(product: Product) -> dict[str, str]:
    """The ids of CHARGERS shared chargers by identity. Every test leaves them running."""
    return product.create("CP-", CHARGERS)
