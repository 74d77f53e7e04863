"""What the tests change, and how they see that an operator acts."""

import itertools

from scalableapp.adapters.progress import Stage
from tests.control_plane import ControlPlane, OperatorProcess, eventually

APPS = "/apis/scalableapp.io/v1alpha1/namespaces/{}/scalableapps"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/scalableapp-operator"
# The aim after a fault of less than 5 minutes is 5 s; a busy machine gets more.
BACK_SECONDS = 20.0
tags = itertools.count(1)


def make_app(plane: ControlPlane, namespace: str) -> None:
    body = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": "web"}}
    plane.ask("POST", APPS.format(namespace), body | {"spec": {"image": "web:0"}})


def acts_on(plane: ControlPlane, namespace: str = "one", within: float = BACK_SECONDS) -> float:
    """Change an app, and wait until its Deployment has followed: the seconds that took."""
    image = change_image(plane, namespace)
    return eventually(lambda: deployed(plane, namespace) == image, within, f"{image} is deployed in {namespace}")


def change_image(plane: ControlPlane, namespace: str) -> str:
    image = f"web:{next(tags)}"
    patch, kind = {"spec": {"image": image}}, "application/merge-patch+json"
    plane.ask("PATCH", APPS.format(namespace) + "/web", patch, kind)
    return image


def deployed(plane: ControlPlane, namespace: str) -> str:
    found = plane.ask("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def waiting_for(operator: OperatorProcess) -> list[Stage]:
    return [stage for stage in Stage if operator.metric(f'scalableapp_waiting_for{{stage="{stage}"}}')]
