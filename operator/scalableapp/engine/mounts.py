"""What apps mount, followed: a ConfigMap or Secret that has changed gives its app's pods a new template.

A version that is not known, or cannot be read, is that of the running pods: nothing is rolled out for want of data.
"""

import logging
from collections import defaultdict

from scalableapp.core.children import mounts
from scalableapp.core.children.mounts import Source
from scalableapp.core.model import AppKey
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.errors import ClusterError, Rejected
from scalableapp.ports import Cluster, Event

log = logging.getLogger(__name__)


def mounted(record: AppRecord) -> str:
    """The versions that the template is to name: the newest ones known, else those that it has.

    What could not be read when pods were made stays so named until it changes, or each restart of the operator, and the
    right to read it, would replace all pods.
    """
    if record.spec is None or not record.spec.mounts:
        return ""
    running = _running(record)
    found = mounts.sources(record.spec)
    return mounts.write({source: record.mounted.get(source) or running.get(source, mounts.UNREAD) for source in found})


def _running(record: AppRecord) -> dict[Source, str]:
    facts = record.own_deployment
    return mounts.read(facts.mounts) if facts else {}


class Mounts:
    """Reads the versions of what apps mount."""

    def __init__(self, registry: Registry, cluster: Cluster) -> None:
        self._registry = registry
        self._cluster = cluster

    async def learn(self, record: AppRecord) -> None:
        """The versions for pods that are made now, so that they need not be replaced as soon as these are known."""
        if record.spec is None or not record.spec.mounts:
            return
        known = {*_running(record), *record.mounts_read, *record.unfollowed}
        for source in mounts.sources(record.spec):
            if source not in known:
                try:
                    if found := await self._cluster.mount_version(record.key.namespace, source):
                        record.mounts_read[source], record.mounted[source] = found, found.content
                except ClusterError as error:
                    await self._cannot(record, source, error)

    async def refresh(self) -> list[AppKey]:
        """Look at all that is mounted, with one request per namespace and kind. Returns the apps that changed."""
        users: defaultdict[tuple[str, str], list[tuple[AppRecord, Source]]] = defaultdict(list)
        for record in self._registry.apps():
            for source in mounts.sources(record.spec) if record.spec else ():
                users[record.key.namespace, source.kind].append((record, source))
        changed = [await self._changed(namespace, kind, found) for (namespace, kind), found in users.items()]
        return [key for keys in changed for key in keys]

    async def _changed(self, namespace: str, kind: str, users: list[tuple[AppRecord, Source]]) -> list[AppKey]:
        changed = []
        try:
            there = await self._cluster.resource_versions(namespace, kind)
            for record, source in users:
                last = record.mounts_read.get(source)
                if source.name in there and (last is None or last.resource_version != there[source.name]):
                    changed += [record.key] if await self._changes(record, source) else []
                record.unfollowed.discard(source)
        except ClusterError as error:
            for record, source in users:
                await self._cannot(record, source, error)
        return changed

    async def _changes(self, record: AppRecord, source: Source) -> bool:
        """Whether it holds something else than before, as far as that is known."""
        found = await self._cluster.mount_version(record.key.namespace, source)
        if found is None:
            return False
        last = record.mounts_read.get(source)
        running = _running(record).get(source, mounts.UNREAD)
        before = last.content if last else record.mounted.get(source, running)
        record.mounts_read[source] = found
        if before in (mounts.UNREAD, found.content):
            return False
        record.mounted[source] = found.content
        return True

    async def _cannot(self, record: AppRecord, source: Source, error: ClusterError) -> None:
        """Told once of each where the operator may not look; all else is tried again soon."""
        if not isinstance(error, Rejected):
            log.info("%s: %s could not be read and will be again: %s", record.key, source, error)
        elif source not in record.unfollowed:
            record.unfollowed.add(source)
            message = (
                f"{source} is mounted, but the operator may not read it, so a change of it starts no rollout: {error}; "
                "grant it with the component rollout-on-secrets, or restart the pods yourself: kubectl rollout restart "
                f"deployment/{record.key.name} -n {record.key.namespace}"
            )
            await self._cluster.emit(Event(record.key, record.uid, "Warning", "MountNotFollowed", message))
