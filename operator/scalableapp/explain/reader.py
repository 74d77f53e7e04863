"""What the cluster tells of one app: the ScalableApp itself and the Events about it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from scalableapp.adapters.kube_api import Denied, KubeApi, Request
from scalableapp.core.explain import duration
from scalableapp.core.model import AppKey
from scalableapp.core.resources import API_VERSION
from scalableapp.errors import ClusterError, NotFound, Rejected, Unavailable
from scalableapp.ports import Manifest

# What a terminal holds; the API server keeps Events for an hour.
_MOST_EVENTS = 10
_LISTED_EVENTS = 500
_TRIES = 2
# Of the operator as manifests/ install it. Where it is elsewhere, or may not be read, nothing is said of it.
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/scalableapp-system/leases/scalableapp-operator"
# The operator renews its Lease every few seconds.
_SILENT_SECONDS = 60.0


class Found(NamedTuple):
    """The ScalableApp, its newest Events oldest first, and what there is to say about both."""

    app: Manifest
    events: tuple[Manifest, ...] = ()
    notes: tuple[str, ...] = ()


async def read(api: KubeApi, key: AppKey) -> Found:
    """What there is to tell of the app. Raises ClusterError that says what is missing, and what to do."""
    path = f"/apis/{API_VERSION}/namespaces/{key.namespace}/scalableapps/{key.name}"
    try:
        app = await api.ask(Request("GET", path), tries=_TRIES)
    except NotFound as error:
        raise await _missing(api, key) from error
    except Denied as error:
        raise Rejected(
            f"{error.answer}; kubectl auth can-i get scalableapps -n {key.namespace} asks the same, and the role "
            "scalableapp-view (or view) grants it"
        ) from error
    except Unavailable as error:
        raise Unavailable(f"{error}; look whether kubectl reaches the cluster with the same context") from error
    notes = await _silence(api, datetime.now(UTC))
    try:
        return Found(app, await _events(api, key.namespace, app["metadata"]["uid"]), notes)
    except ClusterError as error:
        why = error.answer if isinstance(error, Denied) else error
        return Found(app, notes=(*notes, f"Events could not be read: {why}"))


async def _silence(api: KubeApi, now: datetime) -> tuple[str, ...]:
    """What to know when the operator does not run: then all else is what it said last."""
    try:
        renewed = (await api.ask(Request("GET", _LEASE), tries=1))["spec"]["renewTime"]
        silent = (now - datetime.fromisoformat(renewed)).total_seconds()
    except (ClusterError, KeyError, TypeError, ValueError):
        return ()
    if silent < _SILENT_SECONDS:
        return ()
    note = (
        f"the operator has not been at work for {duration(silent)}, and this is what it said before: "
        "kubectl get pods -n scalableapp-system shows whether it runs"
    )
    return (note,)


async def _missing(api: KubeApi, key: AppKey) -> NotFound:
    try:
        await api.ask(Request("GET", f"/apis/{API_VERSION}"), tries=_TRIES)
    except NotFound:
        return NotFound("The cluster knows no ScalableApps; install the kind first: kubectl apply -f crds/")
    except ClusterError:
        pass  # then the cluster has told enough already
    return NotFound(f"There is no ScalableApp {key}; kubectl get scalableapps --all-namespaces lists those there are")


async def _events(api: KubeApi, namespace: str, uid: str) -> tuple[Manifest, ...]:
    query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": str(_LISTED_EVENTS)}
    listed = await api.ask(Request("GET", f"/api/v1/namespaces/{namespace}/events", query), tries=_TRIES)
    return tuple(sorted(listed.get("items") or (), key=_last_seen)[-_MOST_EVENTS:])


def _last_seen(event: Manifest) -> datetime:
    return datetime.fromisoformat(last_seen(event) or "1970-01-01T00:00:00Z")


def last_seen(event: Manifest) -> str:
    """When the Event last happened, as the API writes it; "" where it does not say."""
    series: Any = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in (*times, event["metadata"].get("creationTimestamp")) if time), ""))
