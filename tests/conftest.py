"""The order of the tests."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests come first: the short ones run beside them."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
