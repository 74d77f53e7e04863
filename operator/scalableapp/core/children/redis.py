"""The Redis that holds an app's cache: Deployment, Service and NetworkPolicy, as resources.py hands them out.

A cache is made to be lost: one pod, no volume, nothing written to disk. When it is full it forgets what is used least;
when it is gone the app goes on and computes. Nobody but the app's own pods may reach it, where the cluster enforces
NetworkPolicies, as whoever writes to it decides what the app answers.
"""

from typing import Any

from scalableapp.core.model import AppKey

Manifest = dict[str, Any]

PORT = 6379
# Upstream's current line; the operator's settings may name another image with redis-server in it.
IMAGE = "redis:8.2.10-alpine"
_SUFFIX = "-cache"
# So that with the suffix it is a Service's name, too.
LONGEST_APP_NAME = 63 - len(_SUFFIX)

# A few thousand pages. Buffers of clients and what the allocator cannot give back come on top, so the limit is double.
_MAX_MEMORY = "64mb"
_RESOURCES = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
# Any number but 0 does, as Redis writes no file; upstream's image would start as root and change to this one.
_USER = 999

_COMMAND = [
    *("redis-server", "--port", str(PORT), "--bind", "*", "-::*", "--protected-mode", "no"),
    *("--save", "", "--appendonly", "no"),
    *("--maxmemory", _MAX_MEMORY, "--maxmemory-policy", "allkeys-lfu", "--maxmemory-clients", "25%"),
    # An app's worker that died leaves its connection behind.
    *("--timeout", "600", "--tcp-keepalive", "60"),
]


def cache_name(key: AppKey) -> str:
    """Name of the children that are the app's Redis."""
    return f"{key.name}{_SUFFIX}"


def address(key: AppKey) -> str:
    """Where the app's pods find it: a name of their own namespace."""
    return f"redis://{cache_name(key)}:{PORT}/0"


def deployment(key: AppKey, image: str) -> Manifest:
    """Spec of the Deployment. Two at a time would be two caches, so the old pod goes first."""
    return {
        "replicas": 1,
        "revisionHistoryLimit": 1,
        "minReadySeconds": 0,
        "paused": False,  # stated, so that one that somebody has paused is resumed
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": _selector(key)},
        "template": {"metadata": {"labels": _selector(key)}, "spec": _pod(image)},
    }


def service(key: AppKey) -> Manifest:
    """Spec of the Service."""
    ports = [{"name": "redis", "port": PORT, "targetPort": "redis", "protocol": "TCP"}]
    return {"type": "ClusterIP", "selector": _selector(key), "ports": ports}


def network_policy(key: AppKey, app_selector: dict[str, str]) -> Manifest:
    """Spec of the NetworkPolicy: in from the app's pods, out to nobody."""
    callers = [{"podSelector": {"matchLabels": app_selector}}]
    return {
        "podSelector": {"matchLabels": _selector(key)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": callers, "ports": [{"port": PORT, "protocol": "TCP"}]}],
    }


def _selector(key: AppKey) -> dict[str, str]:
    """Labels of its pods alone: neither the app's Service nor the operator's look at the app's pods may find them."""
    return {"app.kubernetes.io/name": cache_name(key), "app.kubernetes.io/component": "cache"}


def _pod(image: str) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "redis",
                "image": image,
                "command": _COMMAND,
                "ports": [{"name": "redis", "containerPort": PORT, "protocol": "TCP"}],
                "resources": _RESOURCES,
                **_probes(),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
            }
        ],
    }


def _probes() -> dict[str, Manifest]:
    """To connect shows that it runs; whether it still answers is asked seldom, as each answer is a process."""
    runs = {"tcpSocket": {"port": "redis"}}
    answers = {"exec": {"command": ["redis-cli", "-p", str(PORT), "ping"]}}
    return {
        "readinessProbe": runs | {"periodSeconds": 5, "timeoutSeconds": 2},
        "livenessProbe": answers | {"periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 3},
    }
