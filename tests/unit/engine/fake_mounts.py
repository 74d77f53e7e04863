"""ConfigMaps and Secrets in memory, as far as the operator looks at them."""

from dataclasses import dataclass, field

from scalableapp.core.children.mounts import Source, Version


@dataclass
class FakeMounts:
    """That part of ports.Cluster. `failures` maps "read" and a kind to what it raises until it is removed."""

    mounts: dict[tuple[str, Source], Version] = field(default_factory=dict)
    reads: int = 0
    failures: dict[str, Exception] = field(default_factory=dict)

    async def resource_versions(self, namespace: str, kind: str) -> dict[str, str]:
        self._look(kind)
        found = {source: version for (where, source), version in self.mounts.items() if where == namespace}
        return {source.name: version.resource_version for source, version in found.items() if source.kind == kind}

    async def mount_version(self, namespace: str, source: Source) -> Version | None:
        self._look(source.kind)
        return self.mounts.get((namespace, source))

    def _look(self, kind: str) -> None:
        self.reads += 1
        if failure := self.failures.get(f"read {kind}"):
            raise failure
