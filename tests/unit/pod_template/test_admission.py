"""The admission policy on the operator's pods, with workloads that teams run, on a real API server."""

from collections.abc import Iterator

import pytest
import yaml

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected
from tests.control_plane import ControlPlane, eventually
from tests.rendering import MANIFESTS
from tests.unit.pod_template.workloads import WORKLOADS

GROUP = "/apis/admissionregistration.k8s.io/v1"
# What needs the component pod-template-all, and which part of the pods it is.
REFUSED = {"sidecar": "serviceAccountName portal", "root": "container app"}


@pytest.fixture(scope="module")
def guarded(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The policies, about the user that tests are."""
    text = (MANIFESTS / "components/admission/policies.yaml").read_text()
    policies = list(
        yaml.safe_load_all(text.replace("system:serviceaccount:scalableapp-system:scalableapp-operator", "operator"))
    )
    plurals = {
        "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    }
    paths = [f"{GROUP}/{plurals[policy['kind']]}" for policy in policies]
    for path, policy in zip(paths, policies, strict=True):
        plane.ask("POST", path, policy)
    yield plane
    for path, policy in zip(paths, policies, strict=True):
        plane.ask("DELETE", f"{path}/{policy['metadata']['name']}")


async def refusal(cluster: KubeClient, name: str) -> str:
    app = yaml.safe_load(WORKLOADS[name].read_text())
    manifests = children(AppKey("default", f"guarded-{name}"), "uid", parse_spec(app["spec"]), ClusterFeatures())
    try:
        for manifest in manifests:
            await cluster.check(manifest)
    except Rejected as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", WORKLOADS)
async def test_the_policy_takes_what_gives_no_rights_and_names_the_rest(
    name: str, guarded: ControlPlane, cluster: KubeClient
) -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "a"}]}, "metadata": {"labels": {"a": "b"}}}
    theirs = {"metadata": {"name": "theirs"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    path = "/apis/apps/v1/namespaces/default/deployments?dryRun=All"
    eventually(lambda: _is_refused(guarded, path, theirs), what="the policies are in force")
    found = await refusal(cluster, name)
    assert (REFUSED[name] in found and "docs/pod-template.md" in found) if name in REFUSED else found == ""


def _is_refused(plane: ControlPlane, path: str, body: dict[str, object]) -> bool:
    try:
        plane.ask("POST", path, body)
    except Exception as error:  # noqa: BLE001 - whatever refuses it
        return "422" in str(error)
    return False
