"""Fields of the spec that say how requests come to the app from outside: an Ingress, or an HTTPRoute."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import Model, Path

_LABELS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_HOST = rf"^(\*\.)?{_LABELS}"
_NAME = rf"^{_LABELS}"
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Hostname = Annotated[str, Field(min_length=1, max_length=253, pattern=_HOST)]


class LoadBalancing(StrEnum):
    """How the ingress spreads requests over pods."""

    ROUND_ROBIN = "RoundRobin"
    LEAST_CONNECTIONS = "LeastConnections"


class AnnotationProfile(StrEnum):
    """Whose annotations say to the ingress controller what the Ingress object itself has no field for."""

    CONTOUR = "Contour"
    NGINX = "NGINX"
    HAPROXY = "HAProxy"
    NONE = "None"


class RateLimit(Model):
    """How many requests one client may make before it is answered 429."""

    requests_per_second: int = Field(
        ge=1, le=1_000_000, description="Requests a second that each client address may make; others are answered 429."
    )
    burst: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Requests beyond the rate that may come at once; without it, one second's. Profile NGINX only.",
    )
    divide_by_ingress_pods: bool = Field(
        False,
        description="Whether each of several ingress controller pods grants its part of the rate only; right where the "
        "requests of one client are spread over all of them. Profile NGINX only.",
    )


class Ingress(Model):
    """The load balancer in front of the app: an Ingress of networking.k8s.io/v1."""

    enabled: bool = Field(True, description="Whether the operator makes an Ingress.")
    host: str | None = Field(
        None, max_length=253, pattern=_HOST, description="Host name that leads to the app; without it, every host does."
    )
    path: Path = Field("/", description="Path prefix that leads to the app.")
    class_name: str | None = Field(
        None, max_length=253, description="IngressClass that serves it; without it, the cluster's default class."
    )
    tls_secret_name: str | None = Field(
        None,
        max_length=253,
        description="TLS Secret (kubernetes.io/tls) in the same namespace; without it, plain HTTP.",
    )
    annotation_profile: AnnotationProfile | None = Field(
        None,
        description="Whose annotations carry the fields below: Contour, NGINX (F5's controller), HAProxy (HAProxy "
        "Technologies') or None. Without it: HAProxy if className has haproxy in it, NGINX if it has nginx in it or is "
        "not set, Contour if it has contour in it, else None.",
    )
    load_balancing: LoadBalancing | None = Field(
        None,
        description="How requests are spread over pods. Without it LeastConnections, which spares slow and cold pods; "
        "with profile Contour always RoundRobin.",
    )
    keepalive: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="Idle connections to the pods that each worker of the ingress keeps open; 0 for none, 32 without "
        "it. Profile NGINX only.",
    )
    rate_limit: RateLimit | None = Field(
        None, description="Bounds how many requests each client may make. Profiles NGINX and HAProxy only."
    )
    https_redirect: bool | None = Field(
        None,
        description="Whether plain HTTP is redirected to HTTPS; without it, it is where tlsSecretName is set.",
    )
    annotations: dict[str, str] = Field(
        default_factory=dict,
        max_length=64,
        description="Further annotations of the Ingress, for your controller. They win over those of the profile.",
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
                f"{field} is said to the ingress controller by annotations, and the profile for "
                f"className {self.class_name} is None; set annotationProfile to Contour, NGINX or HAProxy if that is "
                f"your controller, or remove {field}"
            )
        for beyond in _BEYOND.get(self.profile, ()):
            if beyond.is_set(self):
                raise ValueError(
                    f"{beyond.field} has no annotation of {self.profile}'s: {beyond.why}; remove {beyond.field}"
                )
        return self

    @model_validator(mode="after")
    def _contour_has_a_name_for_the_certificate(self) -> Self:
        if self.profile is AnnotationProfile.CONTOUR and self.tls_secret_name and not self.host:
            raise ValueError("Contour serves HTTPS by host name only; add host, or remove tlsSecretName")
        return self

    @model_validator(mode="after")
    def _redirect_has_a_certificate(self) -> Self:
        if self.https_redirect and self.tls_secret_name is None:
            raise ValueError("httpsRedirect leads to no certificate; add tlsSecretName or remove httpsRedirect")
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
            "it balances every Ingress RoundRobin, and has other ways for its own HTTPProxy only",
        ),
        _Beyond(
            "keepalive",
            lambda ingress: ingress.keepalive is not None,
            "it keeps connections by itself",
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
            "it keeps them by itself, as http-connection-mode in its ConfigMap says",
        ),
        _Beyond(
            "rateLimit.burst",
            lambda ingress: ingress.rate_limit and ingress.rate_limit.burst is not None,
            "it counts the requests of each second",
        ),
        _Beyond(
            "rateLimit.divideByIngressPods",
            lambda ingress: ingress.rate_limit and ingress.rate_limit.divide_by_ingress_pods,
            "its pods tell each other what they have counted",
        ),
    ),
}


class ParentRef(Model):
    """A Gateway that shall lead requests to the app. It is somebody else's: the operator never makes one."""

    name: str = Field(min_length=1, max_length=253, pattern=_NAME, description="Name of the Gateway.")
    namespace: str | None = Field(
        None, min_length=1, max_length=63, pattern=_NAMESPACE, description="Its namespace; without it, the app's."
    )
    section_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        pattern=_NAME,
        description="Name of one of its listeners; without it, all that fit.",
    )
    port: int | None = Field(
        None, ge=1, le=65535, description="Port of its listeners; without it, all that fit. One of 443 is HTTPS."
    )


class Route(Model):
    """A way to the app through a Gateway: an HTTPRoute of gateway.networking.k8s.io/v1, in place of the Ingress."""

    parent_refs: tuple[ParentRef, ...] = Field(
        min_length=1, max_length=32, description="The Gateways that lead to the app. Each has to allow it."
    )
    hostnames: tuple[Hostname, ...] = Field(
        (), max_length=16, description="Host names that lead to the app; without any, those of the listeners."
    )
    path: Path = Field("/", description="Path prefix that leads to the app.")
    request_timeout_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Seconds after which the Gateway answers 504; without it, as the Gateway has it. Needs Gateway API "
        "1.2 or later, and an implementation that supports timeouts.",
    )

    @model_validator(mode="after")
    def _each_parent_once(self) -> Self:
        if len(set(self.parent_refs)) < len(self.parent_refs):
            raise ValueError("parentRefs names one twice; keep one of each")
        return self
