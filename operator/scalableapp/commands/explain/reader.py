"""What the cluster tells of one app: the ScalableApp itself and the Events about it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from scalableapp.adapters.kube_api import Denied, KubeApi, Request
from scalableapp.commands.console.cluster import TRIES, with_fix
from scalableapp.core.children.resources import API_VERSION
from scalableapp.core.explain import duration
from scalableapp.core.model import AppKey
from scalableapp.errors import ClusterError, NotFound
from scalableapp.ports import Manifest

# The API server keeps Events for an hour.
_LISTED_EVENTS = 500
# Of the operator as manifests/ install it. Where it is elsewhere, or may not be read, nothing is said of it.
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/scalableapp-system/leases/scalableapp-operator"
# The operator renews its Lease every few seconds.
_DOWN_SECONDS = 60.0


class Found(NamedTuple):
    """The ScalableApp, its newest Events oldest first, and what there is to say about both.

    `hpas` are the HorizontalPodAutoscalers of its target, KEDA's among them.
    """

    app: Manifest
    events: tuple[Manifest, ...] = ()
    notes: tuple[str, ...] = ()
    hpas: tuple[Manifest, ...] = ()


async def read(api: KubeApi, key: AppKey, most_events: int = 10) -> Found:
    """What is known about the app, with its newest Events. Raises ClusterError that says what is missing."""
    app = await read_app(api, key)
    notes = await notes_on_the_operator(api, datetime.now(UTC))
    hpas = await _hpas_beside(api, app)
    try:
        return Found(app, (await events_of(api, app))[-most_events:], notes, hpas)
    except ClusterError as error:
        why = error.answer if isinstance(error, Denied) else error
        return Found(app, notes=(*notes, f"Events could not be read: {why}"), hpas=hpas)


async def _hpas_beside(api: KubeApi, app: Manifest) -> tuple[Manifest, ...]:
    """The HPAs with the same target; none where they may not be read."""
    target = (app.get("spec") or {}).get("targetRef")
    if not target:
        return ()
    path = f"/apis/autoscaling/v2/namespaces/{app['metadata']['namespace']}/horizontalpodautoscalers"
    try:
        found = [item async for page in api.pages(Request("GET", path)) for item in page["items"]]
    except ClusterError:
        return ()
    wanted = (target["kind"], target["name"])
    scaled = ((hpa, hpa["spec"]["scaleTargetRef"]) for hpa in found)
    return tuple(hpa for hpa, ref in scaled if (ref.get("kind"), ref.get("name")) == wanted)


async def read_app(api: KubeApi, key: AppKey) -> Manifest:
    """The ScalableApp. Raises ClusterError that says what is missing, and what to do."""
    path = f"/apis/{API_VERSION}/namespaces/{key.namespace}/scalableapps/{key.name}"
    try:
        return await api.ask(Request("GET", path), tries=TRIES)
    except NotFound as error:
        raise await missing(api, f"no ScalableApp {key}") from error
    except ClusterError as error:
        raise with_fix(error, "get", "scalableapps", f"-n {key.namespace}", "scalableapp-view (or view)") from error


async def notes_on_the_operator(api: KubeApi, now: datetime) -> tuple[str, ...]:
    """A note if the operator does not run: everything else is then its last report."""
    try:
        renewed = (await api.ask(Request("GET", _LEASE), tries=1))["spec"]["renewTime"]
        seconds_down = (now - datetime.fromisoformat(renewed)).total_seconds()
    except (ClusterError, KeyError, TypeError, ValueError):
        return ()
    if seconds_down < _DOWN_SECONDS:
        return ()
    note = (
        f"the operator has not been active for {duration(seconds_down)}, and this is its last report; "
        "check whether it runs: kubectl get pods -n scalableapp-system"
    )
    return (note,)


async def missing(api: KubeApi, what: str) -> NotFound:
    """The error for "no ScalableApp shop/web": the kind may be missing as a whole."""
    try:
        await api.ask(Request("GET", f"/apis/{API_VERSION}"), tries=TRIES)
    except NotFound:
        return NotFound("The ScalableApp CRD is not installed; install it first: kubectl apply -f crds/")
    except ClusterError:
        pass  # the first error says enough
    return NotFound(f"There is {what}; kubectl get scalableapps --all-namespaces lists the existing ones")


async def events_of(api: KubeApi, app: Manifest) -> tuple[Manifest, ...]:
    """The Events about a ScalableApp, oldest first. Raises ClusterError."""
    metadata = app["metadata"]
    query = {"fieldSelector": f"involvedObject.uid={metadata['uid']}", "limit": str(_LISTED_EVENTS)}
    listed = await api.ask(Request("GET", f"/api/v1/namespaces/{metadata['namespace']}/events", query), tries=TRIES)
    return tuple(sorted(listed.get("items") or (), key=_last_seen))


def _last_seen(event: Manifest) -> datetime:
    return datetime.fromisoformat(last_seen(event) or "1970-01-01T00:00:00Z")


def last_seen(event: Manifest) -> str:
    """When the Event last happened, as the API writes it; "" where it does not say."""
    series: Any = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in (*times, event["metadata"].get("creationTimestamp")) if time), ""))
