"""The API server that answers as it is told."""

from tests.unit.adapters.conftest import server

__all__ = ["server"]
