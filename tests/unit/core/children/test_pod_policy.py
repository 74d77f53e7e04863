"""What SCALABLEAPP_POD_TEMPLATE lets authors give their pods."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.pod_policy import PodTemplatePolicy, unsafe
from scalableapp.core.children.resources import pod_problem
from scalableapp.core.model import AppKey

KEY = AppKey("shop", "web")


def overlay(**fields: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": fields}}


def app(**fields: Any) -> dict[str, Any]:
    return overlay(containers=[{"name": "app", **fields}])


def secured(**fields: Any) -> dict[str, Any]:
    return app(securityContext=fields)


def problem(policy: PodTemplatePolicy, spec: dict[str, Any]) -> str:
    found = pod_problem(KEY, parse_spec({"image": "a"} | spec), policy)
    return str(found) if found else ""


UNSAFE: dict[str, tuple[dict[str, Any], str]] = {
    "a service account": ({"serviceAccountName": "admin"}, "serviceAccountName admin"),
    "one named as the app": ({"serviceAccountName": "web"}, "serviceAccountName web"),
    "one by podTemplate": (overlay(serviceAccountName="admin"), "serviceAccountName admin"),
    "one by its former name": (overlay(serviceAccount="admin"), "serviceAccount admin"),
    "a token": (overlay(automountServiceAccountToken=True), "automountServiceAccountToken"),
    "a token's file": (
        overlay(volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
        "volumes[t].projected.sources.serviceAccountToken",
    ),
    "the node's files": (overlay(volumes=[{"name": "root", "hostPath": {"path": "/"}}]), "volumes[root].hostPath"),
    "the host's network": (overlay(hostNetwork=True), "hostNetwork"),
    "the host's processes": (overlay(hostPID=True), "hostPID"),
    "the host's memory": (overlay(hostIPC=True), "hostIPC"),
    "a node": (overlay(nodeName="control-plane"), "nodeName"),
    "a place before the system": (overlay(priorityClassName="system-node-critical"), "priorityClassName"),
    "a kernel's setting": (
        overlay(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        "securityContext.sysctls[kernel.msgmax]",
    ),
    "no seccomp": (overlay(securityContext={"seccompProfile": {"type": "Unconfined"}}), "seccompProfile"),
    "no AppArmor": (secured(appArmorProfile={"type": "Unconfined"}), "containers[app].securityContext.appArmorProfile"),
    "another SELinux type": (secured(seLinuxOptions={"type": "spc_t"}), "seLinuxOptions"),
    "an SELinux user": (secured(seLinuxOptions={"user": "u"}), "seLinuxOptions"),
    "Windows' host process": (secured(windowsOptions={"hostProcess": True}), "windowsOptions.hostProcess"),
    "privileges": (secured(privileged=True), "containers[app].securityContext.privileged"),
    "all of /proc": (secured(procMount="Unmasked"), "procMount"),
    "a capability": (secured(capabilities={"add": ["SYS_ADMIN", "CHOWN"]}), "capabilities.add SYS_ADMIN"),
    "a host's port": (app(ports=[{"containerPort": 8000, "hostPort": 80}]), "containers[app].ports[8000].hostPort"),
    "a probe of another host": (
        app(livenessProbe={"httpGet": {"host": "10.0.0.1"}}),
        "containers[app].livenessProbe.httpGet.host",
    ),
    "a hook to another host": (
        app(lifecycle={"postStart": {"tcpSocket": {"host": "10.0.0.1", "port": 1}}}),
        "containers[app].lifecycle.postStart.tcpSocket.host",
    ),
    "privileges of an init container": (
        overlay(initContainers=[{"name": "i", "image": "i", "securityContext": {"privileged": True}}]),
        "initContainers[i].securityContext.privileged",
    ),
}


@pytest.mark.parametrize("policy", [PodTemplatePolicy.SAFE, PodTemplatePolicy.OFF])
@pytest.mark.parametrize(("spec", "named"), UNSAFE.values(), ids=UNSAFE)
def test_what_is_not_safe_is_refused_by_name_unless_all_is_taken(
    spec: dict[str, Any], named: str, policy: PodTemplatePolicy
) -> None:
    if policy is PodTemplatePolicy.SAFE or "podTemplate" not in spec:
        assert named in problem(policy, spec)
        assert "SCALABLEAPP_POD_TEMPLATE=All" in problem(policy, spec)
    else:
        assert "spec.podTemplate: the operator does not take it" in problem(policy, spec)
    assert problem(PodTemplatePolicy.ALL, spec) == ""


SAFE: dict[str, dict[str, Any]] = {
    "an image alone": {},
    "the default account": {"serviceAccountName": "default"},
    "mounts and pull secrets": {
        "mounts": [{"path": "/a", "secret": "s"}, {"path": "/b", "configMap": "c"}],
        "imagePullSecrets": [{"name": "r"}],
    },
    "root": {"securityContext": {"runAsNonRoot": False}},
    "a capability of the baseline": secured(capabilities={"drop": None, "add": ["CHOWN", "NET_BIND_SERVICE"]}),
    "placement": overlay(nodeSelector={"a": "b"}, tolerations=[{"operator": "Exists"}], priorityClassName="high"),
    "a claim": overlay(volumes=[{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]),
    "a sidecar": overlay(containers=[{"name": "nginx", "image": "n", "ports": [{"containerPort": 81}]}]),
    "a sysctl of the baseline": overlay(
        securityContext={"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}
    ),
}


@pytest.mark.parametrize("spec", SAFE.values(), ids=SAFE)
def test_what_is_safe_is_taken(spec: dict[str, Any]) -> None:
    assert problem(PodTemplatePolicy.SAFE, spec) == ""
    assert (problem(PodTemplatePolicy.OFF, spec) == "") == ("podTemplate" not in spec)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "securityContext", "add", "capabilities", "ports", "type"]), inner)
    ),
    max_leaves=6,
)
_FIELDS = st.sampled_from(
    ["containers", "initContainers", "volumes", "securityContext", "serviceAccountName", "hostPID"]
)


@given(pod=st.dictionaries(_FIELDS, _ANYTHING, max_size=3))
def test_any_pod_is_judged(pod: dict[str, Any]) -> None:
    assert all(isinstance(found, str) for found in unsafe(pod))
