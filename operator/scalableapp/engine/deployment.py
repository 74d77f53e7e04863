"""The app's Deployment as it is written: without replicas, except when it comes back after it was deleted."""

import logging
from datetime import datetime

from scalableapp.core.children.resources import with_replicas
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.errors import Rejected
from scalableapp.ports import Cluster, Event, Manifest

log = logging.getLogger(__name__)


async def apply_deployment(cluster: Cluster, record: AppRecord, manifest: Manifest) -> Manifest:
    """Apply the app's Deployment, which exists, without changing its replicas. Raises ClusterError.

    What apply has set once and is not in the manifest any more it takes back: replicas of a Deployment that was
    recreated with them would fall to one. So those who scale own them first.
    """
    facts = record.own_deployment
    if facts and facts.replicas_applied:
        await cluster.keep_replicas(record.key, facts.replicas)
    live = await cluster.apply(manifest)
    if facts and live["metadata"]["generation"] < facts.generation:
        record.remove_child(record.deployment_id)  # it was deleted a moment ago, and this has made another
    return live


async def create_deployment(cluster: Cluster, record: AppRecord, manifest: Manifest, now: datetime) -> Manifest:
    """One that was there before has the replicas of before at once: the load is still there. Raises ClusterError."""
    if record.lost_replicas is None:
        record.lost_replicas = _replicas_in_status(record, now)  # it was deleted while nobody looked
    if record.lost_replicas is None:
        return await cluster.apply(manifest)
    try:
        return await cluster.apply(with_replicas(manifest, record.lost_replicas))
    except Rejected:  # as by a policy that allows fewer
        return await cluster.apply(manifest)


async def restore_replicas(cluster: Cluster, registry: Registry, record: AppRecord) -> None:
    """A recreated Deployment that could not have the replicas of before at once gets them now, if it can.

    Raises ClusterError, but for a refusal.
    """
    facts, before = record.own_deployment, record.lost_replicas
    if facts is None or before is None:
        return
    if facts.replicas != before:
        record.scaling_to, record.scale_failed = before, True
        try:
            await cluster.scale(record.key, before)
        except Rejected as error:
            log.warning("%s: the Deployment cannot have its %d replicas back: %s", record.key, before, error)
        else:
            registry.scaled(record, before)
    record.lost_replicas, record.scale_failed = None, False
    if record.own_deployment and record.own_deployment.replicas == before:
        await _tell_recreated(cluster, record, before)


async def _tell_recreated(cluster: Cluster, record: AppRecord, replicas: int) -> None:
    number = f"{replicas} replica{'' if replicas == 1 else 's'}"
    message = f"Deployment {record.key} was deleted and has been recreated with the {number} that it had"
    log.info("%s: %s", record.key, message)
    await cluster.emit(Event(record.key, record.uid, "Normal", "Recreated", message))


def _replicas_in_status(record: AppRecord, now: datetime) -> int | None:
    """The replicas that status reports, within the maximum; None for an app that has never had any."""
    desired = record.status.get("desiredReplicas")
    if desired is None or record.spec is None:
        return None
    return min(int(desired), bounds_at(record.spec.scaling.horizontal, now).most.value)
