"""What the Kubernetes API tells of an installation: CRD, operator, Lease, the caller's rights, IngressClasses."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from scalableapp import __version__
from scalableapp.adapters.kube_api import Denied, KubeApi, Request
from scalableapp.commands.console.cluster import TRIES
from scalableapp.commands.plugin.findings import Finding, bad, good, unknown
from scalableapp.core.api.crd import crd
from scalableapp.core.children.resources import API_VERSION
from scalableapp.core.explain import duration
from scalableapp.errors import ClusterError, NotFound
from scalableapp.ports import Manifest

_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scalableapps.scalableapp.io"
_APPLY_CRD = "kubectl apply --server-side -f crds/"
_LABEL, _LEASE = "app.kubernetes.io/name=scalableapp-operator", "scalableapp-operator"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
# What people with the role scalableapp-edit may do: verb, group, resource, subresource.
_RIGHTS = (
    ("list", "scalableapp.io", "scalableapps", ""),
    ("update", "scalableapp.io", "scalableapps", ""),
    ("list", "", "pods", ""),
    ("list", "", "events", ""),
)


class Operator(NamedTuple):
    """A Deployment of the operator."""

    namespace: str
    name: str
    body: Manifest

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"


async def check_crd(api: KubeApi) -> Finding:
    """Whether the CRD is there, and that of this version."""
    try:
        found = await api.ask(Request("GET", _CRD), tries=TRIES)
    except NotFound:
        return bad("CRD", "the ScalableApp CRD is not installed", _APPLY_CRD)
    except ClusterError as error:
        return await _served(api, error)
    ours, theirs = (each["spec"]["versions"][0]["schema"] for each in (crd(), found))
    if ours != theirs:
        message = f"the CRD of the cluster is not that of version {__version__}, which this command is of"
        return bad("CRD", message, f"update the older of the two; the CRD: {_APPLY_CRD}")
    return good("CRD", f"installed, as of version {__version__}")


async def _served(api: KubeApi, error: ClusterError) -> Finding:
    """What anybody may see, where CRDs may not be read."""
    try:
        await api.ask(Request("GET", f"/apis/{API_VERSION}"), tries=TRIES)
    except NotFound:
        return bad("CRD", "the ScalableApp CRD is not installed", _APPLY_CRD)
    except ClusterError as failure:
        return _not_seen("CRD", failure, "get", "customresourcedefinitions")
    return unknown("CRD", f"installed; its version cannot be read ({_answer(error)})")


async def operators(api: KubeApi) -> tuple[list[Operator], Finding | None]:
    """The operator's Deployments in all namespaces, or why they cannot be looked for."""
    try:
        listed = await api.ask(Request("GET", "/apis/apps/v1/deployments", {"labelSelector": _LABEL}), tries=TRIES)
    except ClusterError as error:
        return [], _not_seen("operator", error, "list", "deployments --all-namespaces")
    items = listed.get("items") or ()
    found = [Operator(item["metadata"]["namespace"], item["metadata"]["name"], item) for item in items]
    if not found:
        message = f"no Deployment with the label {_LABEL} in any namespace"
        return [], bad("operator", message, "kubectl apply -k manifests/overlays/production, or Helm (docs/install.md)")
    return found, None


async def check_operator(api: KubeApi, operator: Operator, now: datetime) -> list[Finding]:
    """Whether an operator runs, is of this version, and holds its Lease."""
    return [_running(operator), _version(operator), await _lease(api, operator, now)]


def _running(operator: Operator) -> Finding:
    ready = (operator.body.get("status") or {}).get("readyReplicas", 0)
    if (operator.body.get("spec") or {}).get("replicas", 1) == 0:
        fix = f"kubectl -n {operator.namespace} scale deployment {operator.name} --replicas=1"
        return bad("operator", f"{operator} is scaled to 0", fix)
    if not ready:
        fix = f"kubectl -n {operator.namespace} describe pods -l {_LABEL}"
        return bad("operator", f"{operator} has no ready pod", fix)
    return good("operator", f"{operator} is ready")


def _version(operator: Operator) -> Finding:
    image = str(operator.body["spec"]["template"]["spec"]["containers"][0].get("image", ""))
    _, colon, tag = image.rpartition("/")[2].partition(":")
    if not colon or "@" in image:
        return unknown("version", f"{operator} runs {image}, which does not tell its version")
    if tag != __version__:
        fix = f"install version {tag} of this command, or {__version__} of the operator"
        return bad("version", f"{operator} is of version {tag}, this command of {__version__}", fix)
    return good("version", f"{operator} and this command are of version {tag}")


async def _lease(api: KubeApi, operator: Operator, now: datetime) -> Finding:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{operator.namespace}/leases/{_LEASE}"
    fix = f"kubectl -n {operator.namespace} logs deployment/{operator.name}"
    try:
        spec = (await api.ask(Request("GET", path), tries=TRIES)).get("spec") or {}
    except NotFound:
        return bad("Lease", f"{operator.namespace}/{_LEASE} does not exist: the operator has never been active", fix)
    except ClusterError as error:
        return _not_seen("Lease", error, "get", f"leases -n {operator.namespace}")
    holder = spec.get("holderIdentity")
    if not holder or not spec.get("renewTime"):
        return bad("Lease", f"nobody holds {operator.namespace}/{_LEASE}: no operator is active", fix)
    age = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds()
    if age > spec.get("leaseDurationSeconds", 0):
        return bad("Lease", f"{holder} has not renewed it for {duration(age)}: no operator is active", fix)
    return good("Lease", f"held by {holder.rpartition('_')[0] or holder}")


async def check_rights(api: KubeApi, namespace: str) -> Finding:
    """Whether the caller may do what users of ScalableApps do."""
    missing = list[str]()
    for verb, group, resource, subresource in _RIGHTS:
        wanted = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted | ({"subresource": subresource} if subresource else {})},
        }
        try:
            answer = await api.ask(Request("POST", _REVIEWS, body=body), tries=TRIES)
        except ClusterError as error:
            return unknown("rights", f"yours cannot be asked for ({_answer(error)})")
        if not (answer.get("status") or {}).get("allowed"):
            missing.append(f"{verb} {resource}")
    if missing:
        fix = f"kubectl -n {namespace} create rolebinding NAME --clusterrole=edit --user=YOU, by who administers it"
        return bad("rights", f"in namespace {namespace} you may not {', '.join(missing)}", fix)
    return good("rights", f"in namespace {namespace} you may read and change ScalableApps")


async def check_classes(api: KubeApi, apps: list[Manifest]) -> AsyncIterator[Finding]:
    """Whether the IngressClass of each app exists, and whether anything serves its Ingress."""
    exposed = [app for app in apps if app["spec"].get("ingress")]
    if not exposed:
        return
    try:
        listed = await api.ask(Request("GET", "/apis/networking.k8s.io/v1/ingressclasses"), tries=TRIES)
    except ClusterError as error:
        yield _not_seen("IngressClass", error, "list", "ingressclasses")
        return
    classes = listed.get("items") or ()
    names = {item["metadata"]["name"] for item in classes}
    has_default = any((item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true" for item in classes)
    for app in exposed:
        name = app["spec"]["ingress"].get("className")
        if problem := _class_problem(app, name, names, has_default=has_default):
            yield problem
        else:
            yield await _served_ingress(api, app)


def _class_problem(app: Manifest, name: str | None, names: set[str], *, has_default: bool) -> Finding | None:
    subject = f"Ingress of {_key(app)}"
    existing = f"the cluster has {', '.join(sorted(names)) or 'none'}"
    if name and name not in names:
        fix = "set spec.ingress.className to one of them, or install an ingress controller"
        return bad(subject, f"there is no IngressClass {name}; {existing}", fix)
    if not name and not has_default:
        return bad(subject, f"no IngressClass is the default; {existing}", "set spec.ingress.className to one of them")
    return None


async def _served_ingress(api: KubeApi, app: Manifest) -> Finding:
    metadata, subject = app["metadata"], f"Ingress of {_key(app)}"
    path = f"/apis/networking.k8s.io/v1/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}"
    try:
        found = await api.ask(Request("GET", path), tries=TRIES)
    except NotFound:
        return bad(subject, "it does not exist", f"kubectl scalableapp explain {_key(app)}")
    except ClusterError as error:
        return _not_seen(subject, error, "get", f"ingresses -n {metadata['namespace']}")
    addresses = ((found.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if not addresses:
        return unknown(subject, "it has no address; not every ingress controller states one", "kubectl get pods -A")
    return good(subject, "an ingress controller serves it")


def check_apps(apps: list[Manifest]) -> Iterator[Finding]:
    """Whether each app is ready, in its own words."""
    for app in apps:
        conditions = {each["type"]: each for each in (app.get("status") or {}).get("conditions") or ()}
        ready: Any = conditions.get("Ready")
        if ready is None:
            message = "the operator has not looked at it yet"
            yield bad(_key(app), message, "look at the operator above, and whether it watches this namespace")
        elif ready["status"] != "True":
            message = f"not ready, {ready['reason']}: {ready['message']}"
            yield bad(_key(app), message, f"kubectl scalableapp explain {_key(app)}")
        else:
            yield good(_key(app), f"ready, {ready['reason']}")


def _key(app: Manifest) -> str:
    return f"{app['metadata']['namespace']}/{app['metadata']['name']}"


def _answer(error: ClusterError) -> str:
    return str(error.answer if isinstance(error, Denied) else error)


def _not_seen(subject: str, error: ClusterError, verb: str, what: str) -> Finding:
    fix = f"kubectl auth can-i {verb} {what}" if isinstance(error, Denied) else "kubectl cluster-info"
    return unknown(subject, _answer(error), fix)
