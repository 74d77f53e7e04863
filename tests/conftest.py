"""The order of the tests, and how hypothesis looks for counterexamples."""

import pytest
from hypothesis import settings

# The same examples everywhere, so that a run says something of a change. None has a deadline: how long one takes says
# how busy the machine is.
settings.register_profile("here", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests come first: the short ones run beside them."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
