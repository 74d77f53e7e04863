"""Fields of the spec that expose the app: an Ingress, or an HTTPRoute."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import Model, Path, QualifiedName

_LABELS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_HOST = rf"^(\*\.)?{_LABELS}"
_NAME = rf"^{_LABELS}"
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

# In place of a host: an Ingress for every host that no other Ingress has.
EVERY_HOST = "*"
_INGRESS_HOST = rf"^\{EVERY_HOST}$|{_HOST}"

Hostname = Annotated[str, Field(min_length=1, max_length=253, pattern=_HOST)]


class LoadBalancing(StrEnum):
    """How the ingress spreads requests over pods."""

    ROUND_ROBIN = "RoundRobin"
    LEAST_CONNECTIONS = "LeastConnections"


class AnnotationProfile(StrEnum):
    """Whose annotations configure the ingress controller where the Ingress object has no field."""

    CONTOUR = "Contour"
    NGINX = "NGINX"
    HAPROXY = "HAProxy"
    NONE = "None"


class RateLimit(Model):
    """How many requests one client may make before it is answered 429."""

    requests_per_second: int = Field(
        ge=1, le=1_000_000, description="Requests per second allowed for each client address; others are answered 429."
    )
    burst: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Requests beyond the rate that may come at once. Defaults to one second's. Profile NGINX only.",
    )
    divide_by_ingress_pods: bool = Field(
        False,
        description="Whether the rate is divided by the number of ingress controller pods; right if the requests of "
        "one client are spread over all of them. Profile NGINX only.",
    )


class Ingress(Model):
    """The load balancer in front of the app: an Ingress of networking.k8s.io/v1."""

    enabled: bool = Field(True, description="Whether the operator creates an Ingress; it also needs a host.")
    host: str | None = Field(
        None,
        max_length=253,
        pattern=_INGRESS_HOST,
        description="Host name of the app. Without it, no Ingress is created. '*' takes every host that no other "
        "Ingress has, also those of other namespaces.",
    )
    path: Path = Field("/", description="Path prefix of the app.")
    class_name: str | None = Field(
        None, max_length=253, description="IngressClass. Defaults to the cluster's default class."
    )
    tls_secret_name: str | None = Field(
        None,
        max_length=253,
        description="TLS Secret (kubernetes.io/tls) in the same namespace. Without it, plain HTTP.",
    )
    annotation_profile: AnnotationProfile | None = Field(
        None,
        description="Controller whose annotations express the fields below: Contour, NGINX (F5's), HAProxy (HAProxy "
        "Technologies') or None. Defaults to HAProxy if className contains haproxy, NGINX if it contains nginx or is "
        "not set, Contour if it contains contour, otherwise None.",
    )
    load_balancing: LoadBalancing | None = Field(
        None,
        description="How requests are spread over pods. Defaults to LeastConnections, which spares slow and cold pods; "
        "with profile Contour it is always RoundRobin.",
    )
    keepalive: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="Idle connections to the pods that each worker of the ingress controller keeps open; 0 for none. "
        "Defaults to 32. Profile NGINX only.",
    )
    rate_limit: RateLimit | None = Field(
        None, description="Limits the requests of each client. Profiles NGINX and HAProxy only."
    )
    https_redirect: bool | None = Field(
        None,
        description="Whether plain HTTP is redirected to HTTPS. Defaults to true if tlsSecretName is set.",
    )
    annotations: dict[QualifiedName, Annotated[str, Field(max_length=4096)]] = Field(
        default_factory=dict,
        max_length=64,
        description="Further annotations of the Ingress, for your controller. They override those of the profile.",
    )

    @property
    def profile(self) -> AnnotationProfile:
        """Whose annotations are written."""
        if self.annotation_profile:
            return self.annotation_profile
        name = self.class_name or "nginx"
        return next((profile for part, profile in _BY_CLASS_NAME.items() if part in name), AnnotationProfile.NONE)

    @model_validator(mode="after")
    def _profile_can_say_it(self) -> Self:
        if self.profile is AnnotationProfile.NONE and (field := self._first_for_controller()):
            raise ValueError(
                f"the annotation profile for className {self.class_name} is None, which has no annotation for {field}; "
                f"remove {field}, or set annotationProfile to Contour, NGINX or HAProxy if that is your controller"
            )
        for beyond in _BEYOND.get(self.profile, ()):
            if beyond.is_set(self):
                raise ValueError(
                    f"{self.profile} has no annotation for {beyond.field}: {beyond.why}; remove {beyond.field}"
                )
        return self

    @model_validator(mode="after")
    def _contour_has_a_name_for_the_certificate(self) -> Self:
        if self.profile is AnnotationProfile.CONTOUR and self.tls_secret_name and self.host in (None, EVERY_HOST):
            raise ValueError("Contour serves HTTPS by host name only; add host, or remove tlsSecretName")
        return self

    @model_validator(mode="after")
    def _redirect_has_a_certificate(self) -> Self:
        if self.https_redirect and self.tls_secret_name is None:
            raise ValueError("httpsRedirect needs a certificate; add tlsSecretName or remove httpsRedirect")
        return self

    def _first_for_controller(self) -> str:
        fields = {
            "loadBalancing": self.load_balancing,
            "keepalive": self.keepalive,
            "rateLimit": self.rate_limit,
            "httpsRedirect": self.https_redirect,
        }
        return next((name for name, value in fields.items() if value is not None), "")


_BY_CLASS_NAME = {
    "haproxy": AnnotationProfile.HAPROXY,
    "nginx": AnnotationProfile.NGINX,
    "contour": AnnotationProfile.CONTOUR,
}


class _Beyond(NamedTuple):
    """A field that a profile has no annotation for: how to see that it is set, and why there is none."""

    field: str
    is_set: Callable[[Ingress], object]
    why: str


_BEYOND = {
    AnnotationProfile.CONTOUR: (
        _Beyond(
            "loadBalancing",
            lambda ingress: ingress.load_balancing is LoadBalancing.LEAST_CONNECTIONS,
            "it balances every Ingress by RoundRobin, and has other methods for its own HTTPProxy only",
        ),
        _Beyond(
            "keepalive",
            lambda ingress: ingress.keepalive is not None,
            "it keeps connections open by itself",
        ),
        _Beyond(
            "rateLimit",
            lambda ingress: ingress.rate_limit,
            "it limits rates for its own HTTPProxy only",
        ),
    ),
    AnnotationProfile.HAPROXY: (
        _Beyond(
            "keepalive",
            lambda ingress: ingress.keepalive is not None,
            "it keeps connections open by itself, as configured by http-connection-mode in its ConfigMap",
        ),
        _Beyond(
            "rateLimit.burst",
            lambda ingress: ingress.rate_limit and ingress.rate_limit.burst is not None,
            "it counts the requests of each second",
        ),
        _Beyond(
            "rateLimit.divideByIngressPods",
            lambda ingress: ingress.rate_limit and ingress.rate_limit.divide_by_ingress_pods,
            "its pods share their counts",
        ),
    ),
}


class ParentRef(Model):
    """A Gateway that routes requests to the app. The operator never creates one."""

    name: str = Field(min_length=1, max_length=253, pattern=_NAME, description="Name of the Gateway.")
    namespace: str | None = Field(
        None, min_length=1, max_length=63, pattern=_NAMESPACE, description="Its namespace. Defaults to the app's."
    )
    section_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        pattern=_NAME,
        description="Name of one of its listeners. Defaults to all that match.",
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of its listeners. Defaults to all that match. Port 443 is taken as HTTPS.",
    )


class Route(Model):
    """Exposes the app through a Gateway: an HTTPRoute of gateway.networking.k8s.io/v1, in place of the Ingress."""

    parent_refs: tuple[ParentRef, ...] = Field(
        min_length=1, max_length=32, description="The Gateways that route to the app. Each has to allow it."
    )
    hostnames: tuple[Hostname, ...] = Field(
        (), max_length=16, description="Host names of the app. Defaults to those of the listeners."
    )
    path: Path = Field("/", description="Path prefix of the app.")
    request_timeout_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Seconds after which the Gateway answers 504. Defaults to the Gateway's own. Needs Gateway API "
        "1.2 or later, and an implementation that supports timeouts.",
    )

    @model_validator(mode="after")
    def _each_parent_once(self) -> Self:
        if len(set(self.parent_refs)) < len(self.parent_refs):
            raise ValueError("parentRefs lists a Gateway twice; keep one of each")
        return self
