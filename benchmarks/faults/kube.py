"""The bench's own way to the API server, past the proxy, as an administrator."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import aiohttp
import yaml

from benchmarks.faults.servers import ADMIN, BenchError, eventually

Manifest = dict[str, Any]
APPS = "/apis/scalableapp.io/v1alpha1"
_PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
    "ScalableApp": "scalableapps",
    "LimitRange": "limitranges",
    "ResourceQuota": "resourcequotas",
}
_CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def app_path(namespace: str, name: str = "web") -> str:
    """Where a ScalableApp is."""
    return f"{APPS}/namespaces/{namespace}/scalableapps/{name}"


def deployment_path(namespace: str, name: str = "web") -> str:
    """Where a Deployment is."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


class Kube:
    """Requests as an administrator. Each raises BenchError for what the API server refuses."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=False, limit=0)
        headers = {"Authorization": f"Bearer {ADMIN}", "Accept": "application/json"}
        self._client = aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(30))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def get(self, path: str) -> Manifest | None:
        """An object or a list; None where there is none."""
        return await self._ask("GET", path, missing_ok=True)

    async def patch(self, path: str, body: Any) -> None:
        """Change an object by a merge patch."""
        await self._ask("PATCH", path, body, "application/merge-patch+json")

    async def delete(self, path: str) -> None:
        """Delete an object, with what it owns; it may be gone already."""
        await self._ask("DELETE", path, {"propagationPolicy": "Background"}, missing_ok=True)

    async def apply(self, manifest: Manifest) -> None:
        """Create or change an object."""
        path = f"{_collection(manifest)}/{manifest['metadata']['name']}?fieldManager=bench&force=true"
        await self._ask("PATCH", path, manifest, "application/apply-patch+yaml")

    async def apply_text(self, text: str) -> None:
        """All objects of a YAML text; those without a namespace belong to the operator's."""
        for manifest in yaml.safe_load_all(text):
            await self.apply(manifest)

    async def served(self, path: str) -> None:
        """Wait until the API server knows a path, as that of a new kind."""
        await eventually(lambda: self._is_there(path))

    async def gone(self, path: str) -> None:
        """Wait until there is nothing at a path."""
        await eventually(lambda: self._is_gone(path))

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Manifest]]:
        """What exists and what changes (ADDED, MODIFIED, DELETED), without end."""
        options = aiohttp.ClientTimeout(total=None)
        while True:
            async with self._client.get(f"{self._url}{path}?watch=true", timeout=options) as answer:
                pending = b""
                async for chunk in answer.content.iter_any():
                    *lines, pending = (pending + chunk).split(b"\n")
                    for event in map(json.loads, lines):
                        yield event["type"], event["object"]

    async def _is_there(self, path: str) -> bool:
        return await self.get(path) is not None

    async def _is_gone(self, path: str) -> bool:
        return await self.get(path) is None

    async def _ask(
        self,
        verb: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        *,
        missing_ok: bool = False,
    ) -> Manifest | None:
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": content_type}
        async with self._client.request(verb, self._url + path, data=data, headers=headers) as answer:
            text = await answer.read()
            if answer.status == 404 and missing_ok:
                return None
            if answer.status == 429:  # as while it begins to serve a new kind
                await asyncio.sleep(1.0)
                return await self._ask(verb, path, body, content_type, missing_ok=missing_ok)
            if answer.status >= 400:
                raise BenchError(f"{verb} {path}: {answer.status} {text[:500].decode(errors='replace')}")
            found: Manifest = json.loads(text)
            return found


def _collection(manifest: Mapping[str, Any]) -> str:
    kind, version = manifest["kind"], manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = manifest["metadata"].get("namespace", "scalableapp-system")
    within = "" if kind in _CLUSTER_WIDE else f"/namespaces/{namespace}"
    return f"{root}{within}/{_PLURALS[kind]}"
