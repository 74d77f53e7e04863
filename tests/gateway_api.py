"""The HTTPRoute of the Gateway API as clusters know it, and what a Gateway's controller writes into its status."""

from functools import cache
from typing import Any

import pytest
import yaml

from cluster import custom_resources
from cluster.console import ClusterError


@cache
def schema() -> dict[str, Any]:
    """The Gateway API's own schema of an HTTPRoute, of the version that the cluster has."""
    try:
        text = custom_resources.definitions(custom_resources.HTTP_ROUTES)
    except ClusterError as error:
        pytest.skip(str(error))
    found: dict[str, Any] = yaml.safe_load(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def parent(name: str = "public", /, *, reference: dict[str, Any] | None = None, **conditions: str) -> dict[str, Any]:
    """A status entry of one parent: Accepted="True", ResolvedRefs="BackendNotFound", ... (False for that reason)."""
    entries = [
        {
            "type": kind,
            "status": "True" if value == "True" else "False",
            "reason": kind if value == "True" else value,
            "message": "as the test has it",
            "lastTransitionTime": "2026-01-05T12:00:00Z",
        }
        for kind, value in conditions.items()
    ]
    found = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name, **(reference or {})}
    return {"parentRef": found, "controllerName": "example.com/stand-in", "conditions": entries}
