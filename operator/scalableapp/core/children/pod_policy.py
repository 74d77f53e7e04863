"""What authors of ScalableApps may give their pods, by the operator's setting SCALABLEAPP_POD_TEMPLATE.

The operator makes pods with its own rights, and these may exceed those of the author for whom it makes them.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

Pod = Mapping[str, Any]
Container = Mapping[str, Any]


class PodTemplatePolicy(StrEnum):
    """All: whatever the API server takes. Safe: no more than the baseline standard, no rights in the cluster.

    Off: Safe, and no spec.podTemplate.
    """

    ALL = "All"
    SAFE = "Safe"
    OFF = "Off"


# The baseline Pod Security Standard, https://kubernetes.io/docs/concepts/security/pod-security-standards/
_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"),
        *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_syncookies",
    }
)


def unsafe(pod: Pod) -> Iterator[str]:
    """Fields of a pod's spec that Safe refuses: beyond the baseline standard, or with rights of a service account."""
    for rule in _OF_PODS:
        yield from rule(pod)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in _items(pod, kind):
            yield from (f"{kind}[{container.get('name')}].{found}" for found in _of_container(container))


def _host(pod: Pod) -> Iterator[str]:
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    # No controls of the standard, but ways past the scheduler.
    if pod.get("nodeName"):
        yield "nodeName"
    if str(pod.get("priorityClassName") or "").startswith("system-"):
        yield f"priorityClassName {pod['priorityClassName']}"


def _rights(pod: Pod) -> Iterator[str]:
    for field in ("serviceAccountName", "serviceAccount"):
        if pod.get(field, "default") not in ("", "default"):
            yield f"{field} {pod[field]}"
    if pod.get("automountServiceAccountToken"):
        yield "automountServiceAccountToken"


def _volumes(pod: Pod) -> Iterator[str]:
    for volume in _items(pod, "volumes"):
        if "hostPath" in volume:
            yield f"volumes[{volume.get('name')}].hostPath"
        if any("serviceAccountToken" in source for source in _items(_map(volume, "projected"), "sources")):
            yield f"volumes[{volume.get('name')}].projected.sources.serviceAccountToken"


def _pod_security(pod: Pod) -> Iterator[str]:
    security = _map(pod, "securityContext")
    yield from _common(security)
    yield from (
        f"securityContext.sysctls[{sysctl.get('name')}]"
        for sysctl in _items(security, "sysctls")
        if sysctl.get("name") not in _SYSCTLS
    )


_OF_PODS: tuple[Callable[[Pod], Iterator[str]], ...] = (_host, _rights, _volumes, _pod_security)


def _of_container(container: Container) -> Iterator[str]:
    security = _map(container, "securityContext")
    yield from _common(security)
    if security.get("privileged"):
        yield "securityContext.privileged"
    if security.get("procMount", "Default") != "Default":
        yield "securityContext.procMount"
    added = _map(security, "capabilities").get("add")
    if beyond := sorted(set(map(str, added if isinstance(added, list) else ())) - _CAPABILITIES):
        yield f"securityContext.capabilities.add {', '.join(beyond)}"
    for port in _items(container, "ports"):
        if port.get("hostPort"):
            yield f"ports[{port.get('containerPort')}].hostPort"
    yield from _asking_hosts(container)


def _asking_hosts(container: Container) -> Iterator[str]:
    """Probes and hooks by which the kubelet would send requests to any address."""
    hooks = _map(container, "lifecycle")
    handlers = {f"lifecycle.{name}": _map(hooks, name) for name in hooks}
    handlers |= {name: _map(container, name) for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    for name, handler in handlers.items():
        yield from (f"{name}.{how}.host" for how in ("httpGet", "tcpSocket") if _map(handler, how).get("host"))


def _common(security: Mapping[str, Any]) -> Iterator[str]:
    """Of a pod and of its containers alike."""
    if _map(security, "windowsOptions").get("hostProcess"):
        yield "securityContext.windowsOptions.hostProcess"
    for field in ("seccompProfile", "appArmorProfile"):
        if _map(security, field).get("type") == "Unconfined":
            yield f"securityContext.{field} Unconfined"
    selinux = _map(security, "seLinuxOptions")
    if selinux.get("user") or selinux.get("role") or selinux.get("type", "") not in _SELINUX_TYPES:
        yield "securityContext.seLinuxOptions"


def _map(holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """What an author wrote may be anything."""
    found = holder.get(field)
    return found if isinstance(found, Mapping) else {}


def _items(holder: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    found = holder.get(field)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
