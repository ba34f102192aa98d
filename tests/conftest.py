from collections.abc import Iterator

import pytest

from tests.product import Product, running


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The whole product, running on the template's own defaults; one for each worker of pytest-xdist."""
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture
def patient(product: Product) -> str:
    """The number of somebody nobody wrote to yet."""
    return product.new_patient()
