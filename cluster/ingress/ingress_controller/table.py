"""The routing table: Kubernetes objects in, table and problems out. No I/O here. `router.lua` has the table's form."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingress_controller.annotations import redirects, route_settings

CLASS_NAME = "nginx"
OLD_CLASS_ANNOTATION = "kubernetes.io/ingress.class"

Object = Mapping[str, Any]
# What is wrong with a certificate and its key, both PEM; None when nothing is.
CertificateCheck = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Problem:
    """Something in an Ingress that could not be done; the rest of it is served."""

    namespace: str
    ingress: str
    reason: str
    message: str


@dataclass(frozen=True)
class Cluster:
    """The objects that routing depends on, as JSON."""

    ingresses: Iterable[Object] = ()
    services: Iterable[Object] = ()
    endpoints: Iterable[Object] = ()
    secrets: Iterable[Object] = ()


@dataclass(frozen=True)
class Routing:
    """The table as deterministic JSON, the Ingresses in it, and what is wrong with them."""

    table: str
    served: tuple[Object, ...]
    problems: tuple[Problem, ...]


def build_routing(cluster: Cluster, check_certificate: CertificateCheck) -> Routing:
    """Make the routing table of all Ingresses of class nginx; where two claim the same, the older one has it."""
    served = tuple(sorted(filter(_is_ours, cluster.ingresses), key=_age))
    builder = _Builder(cluster, check_certificate)
    for ingress in served:
        builder.add(ingress)
    return Routing(builder.table(), served, tuple(builder.problems))


def _is_ours(ingress: Object) -> bool:
    annotations = ingress["metadata"].get("annotations") or {}
    name = (ingress.get("spec") or {}).get("ingressClassName") or annotations.get(OLD_CLASS_ANNOTATION)
    return bool(name == CLASS_NAME)


def _age(ingress: Object) -> tuple[str, str, str]:
    return ingress["metadata"].get("creationTimestamp", ""), *_identity(ingress)


def _identity(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


@dataclass
class _Host:
    """The paths of one host; the default backend is a prefix of its own that everything has, and comes last."""

    exact: dict[str, Object] = field(default_factory=dict)
    prefixes: dict[str, Object] = field(default_factory=dict)

    def json(self) -> Object:
        longest_first = sorted(self.prefixes.items(), key=lambda item: (-len(item[0]), item[0]))
        return {"exact": self.exact, "prefixes": longest_first}


class _Builder:
    """Gathers the table, Ingress by Ingress, oldest first."""

    def __init__(self, cluster: Cluster, check_certificate: CertificateCheck) -> None:
        self.problems: list[Problem] = []
        self._services = {_identity(item): item for item in cluster.services}
        self._endpoints = {_identity(item): item for item in cluster.endpoints}
        self._secrets = {_identity(item): item for item in cluster.secrets}
        self._check_certificate = check_certificate
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._backends: dict[str, list[tuple[str, int]]] = {}
        self._certificates: dict[str, Object] = {}
        self._default: Object | None = None

    def table(self) -> str:
        if self._default:
            self._hosts[""].prefixes.setdefault("", self._default)
        content = {
            "hosts": {name: host.json() for name, host in self._hosts.items()},
            "backends": self._backends,
            "certificates": self._certificates,
        }
        return json.dumps(content, sort_keys=True, indent=1)

    def add(self, ingress: Object) -> None:
        spec = ingress["spec"]
        for entry in spec.get("tls") or []:
            self._add_certificate(ingress, entry)
        for rule in spec.get("rules") or []:
            host = self._hosts[rule.get("host", "").lower()]
            for path in (rule.get("http") or {}).get("paths") or []:
                self._add_path(ingress, rule.get("host", ""), host, path)
        if spec.get("defaultBackend"):
            self._default = self._default or self._route(ingress, spec["defaultBackend"])

    def _add_path(self, ingress: Object, host_name: str, host: _Host, path: Object) -> None:
        text = path.get("path") or "/"
        is_exact = path.get("pathType") == "Exact"
        # A prefix is one of whole path elements, and a closing slash adds none.
        place, key = (host.exact, text) if is_exact else (host.prefixes, text.rstrip("/"))
        if key in place:
            owner = place[key]["ingress"]
            self._report(ingress, "Conflict", f"{host_name or 'any host'}{text} belongs to the older Ingress {owner}")
            return
        secured = host_name.lower() in self._certificates and _names_tls_host(ingress, host_name)
        place[key] = self._route(ingress, path["backend"], secured=secured)

    def _route(self, ingress: Object, backend: Object, *, secured: bool = False) -> Object:
        namespace, name = _identity(ingress)
        annotations = ingress["metadata"].get("annotations") or {}

        def report(message: str) -> None:
            self._report(ingress, "BadAnnotation", message)

        route = {
            "ingress": f"{namespace}/{name}",
            "backend": self._backend(ingress, backend),
            **route_settings(annotations, f"{namespace}/{name}", report),
        }
        return route | {"redirect": True} if secured and redirects(annotations, report) else route

    def _backend(self, ingress: Object, backend: Object) -> str:
        """Return the key of a backend in the table, where its ready pods are; there are none when it is wrong."""
        reference = backend.get("service")
        if not reference:
            self._report(ingress, "BadBackend", "only a Service can be a backend")
            return ""
        namespace, name = ingress["metadata"]["namespace"], reference["name"]
        port = reference.get("port") or {}
        wanted = port.get("name") or port.get("number")
        key = f"{namespace}/{name}:{wanted}"
        service = self._services.get((namespace, name))
        match = _service_port(service, wanted)
        if match is None:
            lack = "there is no such Service" if service is None else f"it has no port {wanted}"
            self._report(ingress, "BadBackend", f"Service {name}: {lack}; requests get 503")
        self._backends[key] = [] if match is None else _pods(self._endpoints.get((namespace, name)), match)
        return key

    def _add_certificate(self, ingress: Object, entry: Object) -> None:
        name = entry.get("secretName")
        if not name:
            return  # by convention: TLS with the controller's own certificate
        secret = self._secrets.get((ingress["metadata"]["namespace"], name))
        certificate, key = _pem(secret, "tls.crt"), _pem(secret, "tls.key")
        lack = "there is no such Secret of type kubernetes.io/tls" if secret is None else None
        problem = lack or self._check_certificate(certificate, key)
        if problem:
            self._report(ingress, "BadSecret", f"TLS secret {name}: {problem}; served without its certificate")
            return
        for host in entry.get("hosts") or []:
            self._certificates.setdefault(host.lower(), {"certificate": certificate, "key": key})

    def _report(self, ingress: Object, reason: str, message: str) -> None:
        problem = Problem(*_identity(ingress), reason, message)
        if problem not in self.problems:
            self.problems.append(problem)


def _names_tls_host(ingress: Object, host: str) -> bool:
    entries = ingress["spec"].get("tls") or []
    return any(host.lower() == name.lower() for entry in entries for name in entry.get("hosts") or [])


def _service_port(service: Object | None, wanted: str | int | None) -> str | None:
    """Return the name of a Service's port given by name or number; a lone port may have no name, which is ""."""
    for port in (service or {}).get("spec", {}).get("ports") or []:
        name = str(port.get("name") or "")
        if wanted in {name, port["port"]}:
            return name
    return None


def _pods(endpoints: Object | None, port_name: str) -> list[tuple[str, int]]:
    return sorted(
        (address["ip"], port["port"])
        for subset in (endpoints or {}).get("subsets") or []
        for port in subset.get("ports") or []
        if (port.get("name") or "") == port_name
        for address in subset.get("addresses") or []
    )


def _pem(secret: Object | None, entry: str) -> str:
    try:
        return base64.b64decode(((secret or {}).get("data") or {}).get(entry, ""), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
