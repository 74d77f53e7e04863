"""The restricted Pod Security Standard, control by control, as kubernetes.io/docs/concepts/security/
pod-security-standards lists it (those of the baseline profile included) for Linux pods.
"""

from collections.abc import Callable, Iterator
from typing import Any

Pod = dict[str, Any]
Container = dict[str, Any]

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SECCOMP = {"RuntimeDefault", "Localhost"}
_SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def _security(holder: Pod | Container) -> dict[str, Any]:
    return holder.get("securityContext") or {}


def _set(holder: Pod | Container, *path: str) -> Any:
    found: Any = _security(holder)
    for part in path:
        found = (found or {}).get(part)
    return found


def _selinux(holder: Pod | Container) -> bool:
    options = _set(holder, "seLinuxOptions") or {}
    return options.get("type") in _SELINUX and not options.get("user") and not options.get("role")


def _host_handlers(container: Container) -> Iterator[dict[str, Any]]:
    """Probes and hooks that may name a host."""
    hooks = container.get("lifecycle") or {}
    handlers = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for handler in (*handlers, *hooks.values()):
        yield from ((handler or {}).get(kind) or {} for kind in ("httpGet", "tcpSocket"))


_OF_PODS: dict[str, Callable[[Pod], bool]] = {
    "Host Namespaces": lambda pod: not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
    "HostProcess": lambda pod: not _set(pod, "windowsOptions", "hostProcess"),
    "Volume Types": lambda pod: all(volume.keys() - {"name"} <= _VOLUMES for volume in pod.get("volumes") or ()),
    "Sysctls": lambda pod: all(sysctl["name"] in _SYSCTLS for sysctl in _set(pod, "sysctls") or ()),
    "AppArmor": lambda pod: _set(pod, "appArmorProfile", "type") in {None, *_SECCOMP},
    "SELinux": _selinux,
    "Running as Non-root user": lambda pod: _set(pod, "runAsUser") != 0,
}

# What a container does not say, it has from its pod.
_OF_CONTAINERS: dict[str, Callable[[Pod, Container], bool]] = {
    "HostProcess": lambda _, it: not _set(it, "windowsOptions", "hostProcess"),
    "Privileged Containers": lambda _, it: not _set(it, "privileged"),
    "Host Ports": lambda _, it: not any(port.get("hostPort") for port in it.get("ports") or ()),
    "Host Probes / Lifecycle Hooks": lambda _, it: not any(handler.get("host") for handler in _host_handlers(it)),
    "AppArmor": lambda _, it: _set(it, "appArmorProfile", "type") in {None, *_SECCOMP},
    "SELinux": lambda _, it: _selinux(it),
    "/proc Mount Type": lambda _, it: _set(it, "procMount") in {None, "Default"},
    "Privilege Escalation": lambda _, it: _set(it, "allowPrivilegeEscalation") is False,
    "Running as Non-root": lambda pod, it: (
        _set(it, "runAsNonRoot") in {True, None} and True in {_set(it, "runAsNonRoot"), _set(pod, "runAsNonRoot")}
    ),
    "Running as Non-root user": lambda _, it: _set(it, "runAsUser") != 0,
    "Seccomp": lambda pod, it: (_set(it, "seccompProfile", "type") or _set(pod, "seccompProfile", "type")) in _SECCOMP,
    "Capabilities": lambda _, it: (
        "ALL" in (_set(it, "capabilities", "drop") or ())
        and set(_set(it, "capabilities", "add") or ()) <= {"NET_BIND_SERVICE"}
    ),
}


def violations(pod: Pod) -> list[str]:
    """Controls of the standard that a pod's spec does not meet; of its containers, with their names."""
    broken = [control for control, met in _OF_PODS.items() if not met(pod)]
    containers = [
        container
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in pod.get(kind) or ()
    ]
    return broken + [
        f"{container['name']}: {control}"
        for container in containers
        for control, met in _OF_CONTAINERS.items()
        if not met(pod, container)
    ]
