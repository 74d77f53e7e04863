"""Shared by the tests of the engine."""

import pytest

from tests.unit.engine.world import World


@pytest.fixture
def world() -> World:
    """An empty cluster with the operator running on it."""
    return World()
