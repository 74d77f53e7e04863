"""The admission policy on the operator's pods, with workloads that teams run, on a real API server."""

from collections.abc import AsyncIterator, Iterator

import pytest
import yaml

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected
from tests.control_plane import ControlPlane, control_plane, eventually
from tests.rendering import MANIFESTS
from tests.unit.pod_template.conftest import client
from tests.unit.pod_template.workloads import WORKLOADS

GROUP = "/apis/admissionregistration.k8s.io/v1"
# What needs the component pod-template-all, and which part of the pods it is.
REFUSED = {"sidecar": "serviceAccountName portal", "root": "container app"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server of its own with the policies, which are about the user that tests are."""
    text = (MANIFESTS / "components/admission/policies.yaml").read_text()
    text = text.replace("system:serviceaccount:scalableapp-system:scalableapp-operator", "admin")
    plurals = {
        "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    }
    with control_plane(tmp_path_factory.mktemp("guarded")) as plane:
        for policy in yaml.safe_load_all(text):
            plane.ask("POST", f"{GROUP}/{plurals[policy['kind']]}", policy)
        yield plane


@pytest.fixture
async def guarded_cluster(guarded: ControlPlane) -> AsyncIterator[KubeClient]:
    async with client(guarded) as found:
        yield found


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
    name: str, guarded: ControlPlane, guarded_cluster: KubeClient
) -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "a"}]}, "metadata": {"labels": {"a": "b"}}}
    theirs = {"metadata": {"name": "theirs"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    path = "/apis/apps/v1/namespaces/default/deployments?dryRun=All"
    eventually(lambda: _is_refused(guarded, path, theirs), what="the policies are in force")
    found = await refusal(guarded_cluster, name)
    assert (REFUSED[name] in found and "docs/pod-template.md" in found) if name in REFUSED else found == ""


def _is_refused(plane: ControlPlane, path: str, body: dict[str, object]) -> bool:
    try:
        plane.ask("POST", path, body)
    except Exception as error:  # noqa: BLE001 - whatever refuses it
        return "422" in str(error)
    return False
