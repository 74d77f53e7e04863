"""The HTTPRoute of the Gateway API as clusters know it, and what a Gateway's controller writes into its status."""

from pathlib import Path
from typing import Any

import yaml

CRD: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "data/gateway-api/httproutes.yaml").read_text())
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def installable(schema: Any = CRD) -> Any:
    """The CRD without defaults of "", which Kubernetes 1.20 as it is built here takes for null and refuses."""
    if isinstance(schema, list):
        return [installable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: installable(value) for name, value in schema.items() if (name, value) != ("default", "")}


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
