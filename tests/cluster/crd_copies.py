"""Copies of the CRD under another group and name: API servers treat them alike, and no operator knows of them.

With the name of the original, `kubectl get scalableapps` could mean either.
"""

import copy
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.shop import eventually, kubectl, refusal
from tests.spec_cases import BAD, Spec

Manifest = dict[str, Any]

KIND, PLURAL = "AppCopy", "appcopies"
OLD_CRDS = Path(__file__).resolve().parents[1] / "data" / "crds"


def old(name: str) -> Manifest:
    """The CRD of an earlier release."""
    found: Manifest = yaml.safe_load((OLD_CRDS / f"{name}.yaml").read_text())
    return found


class Copy:
    """A CRD of ScalableApps under a group of the test's own, and objects of that kind in a namespace of that name."""

    def __init__(self) -> None:
        self.namespace = f"copy-{secrets.token_hex(3)}"
        self.group = f"{self.namespace}.test"
        self.resource = f"{PLURAL}.{self.group}"

    def of(self, definition: Manifest) -> Manifest:
        """A CRD under this group and name."""
        found = copy.deepcopy(definition)
        found["metadata"]["name"] = self.resource
        names = {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()}
        found["spec"] |= {"group": self.group, "names": names}
        return found

    def install(self, definition: Manifest) -> None:
        """Make it the CRD of this group and wait until the API server serves it."""
        kubectl("apply", "-f", "-", text=json.dumps(self.of(definition)))
        # A moment after the apply there are no conditions, which kubectl takes for an error.
        eventually(lambda: kubectl("wait", "--for=condition=Established", f"crd/{self.resource}", "--timeout=60s"))
        eventually(lambda: self.kubectl("get", self.resource))

    def upgrade(self, definition: Manifest) -> None:
        """As `install`, for a CRD with rules in place of one without; it takes effect a moment later."""
        self.install(definition)
        broken, _ = BAD["min over max"]
        eventually(lambda: self.refused(broken))

    def app(self, spec: Spec, name: str = "web") -> Manifest:
        """A ScalableApp of this group."""
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": f"{self.group}/v1alpha1", "kind": KIND, "metadata": metadata, "spec": spec}

    def create(self, spec: Spec, *arguments: str, name: str = "web") -> Manifest:
        """What the API server makes of a spec; with --dry-run=server it is not stored."""
        text = json.dumps(self.app(spec, name))
        made: Manifest = json.loads(kubectl("create", *arguments, "-o", "json", "-f", "-", text=text))
        return made

    def create_all(self, specs: dict[str, Spec]) -> None:
        """Apps by their names."""
        items = [self.app(spec, name) for name, spec in specs.items()]
        kubectl("create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def refused(self, spec: Spec, name: str = "web") -> str:
        """Why a new app with this spec is refused."""
        return refusal("create", "--dry-run=server", "-f", "-", text=json.dumps(self.app(spec, name)))

    def get(self, name: str = "web", *arguments: str) -> Manifest:
        found: Manifest = json.loads(self.kubectl("get", self.resource, name, "-o", "json", *arguments))
        return found

    def all(self) -> dict[str, Manifest]:
        """All apps by their names."""
        items = json.loads(self.kubectl("get", self.resource, "-o", "json"))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def patch(self, change: Manifest, *arguments: str, name: str = "web") -> Manifest:
        """The app after a change."""
        patch = ("patch", self.resource, name, "--type=merge", "-o", "json", "-p", json.dumps(change))
        found: Manifest = json.loads(self.kubectl(*patch, *arguments))
        return found

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return kubectl("-n", self.namespace, *arguments, text=text)


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy and its namespace, which are gone afterwards."""
    made = Copy()
    kubectl("create", "namespace", made.namespace)
    try:
        yield made
    finally:
        kubectl("delete", "crd", made.resource, "--ignore-not-found", "--wait=false")
        kubectl("delete", "namespace", made.namespace, "--wait=false")
