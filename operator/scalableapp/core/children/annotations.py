"""Annotations of an Ingress for its controller: typed fields as the annotations of the controller's profile.

Only documented keys of their own, never a snippet: those are off by default and let an author rewrite the proxy.
"""

from collections.abc import Callable

from scalableapp.core.api.routing_fields import AnnotationProfile, Ingress, LoadBalancing, RateLimit

# Connections to pods kept open by each nginx worker. Opening one for each request costs a round trip and ports.
KEEPALIVE = 32
_TOO_MANY_REQUESTS = "429"

_NGINX_METHODS = {LoadBalancing.ROUND_ROBIN: "round_robin", LoadBalancing.LEAST_CONNECTIONS: "least_conn"}
_HAPROXY_METHODS = {LoadBalancing.ROUND_ROBIN: "roundrobin", LoadBalancing.LEAST_CONNECTIONS: "leastconn"}


def annotations(ingress: Ingress) -> dict[str, str]:
    """The profile's annotations; the user's override them."""
    return _PROFILES[ingress.profile](ingress) | ingress.annotations


def _contour(ingress: Ingress) -> dict[str, str]:
    """For Contour. Only what has not been sent is tried on another pod, so that no POST is ever sent twice.

    Envoy ends any request after 15 seconds unless it is told otherwise; here the app and Contour's stream-idle-timeout
    say how long one may take.
    """
    return {
        "projectcontour.io/retry-on": "connect-failure,refused-stream,reset-before-request",
        "projectcontour.io/num-retries": "3",
        "projectcontour.io/response-timeout": "infinity",
        **({"ingress.kubernetes.io/force-ssl-redirect": _redirect(ingress)} if ingress.tls_secret_name else {}),
    }


def _nginx(ingress: Ingress) -> dict[str, str]:
    """For F5's NGINX Ingress Controller, nginx.org/*.

    A request that meets a pod on its way out is tried on another one; nginx never does that with one that may have
    changed something, such as a POST, once it has been sent.
    """
    return {
        "nginx.org/lb-method": _NGINX_METHODS[_method(ingress)],
        "nginx.org/keepalive": str(KEEPALIVE if ingress.keepalive is None else ingress.keepalive),
        "nginx.org/proxy-next-upstream": "error timeout",
        "nginx.org/proxy-next-upstream-tries": "3",
        **({"nginx.org/ssl-redirect": _redirect(ingress)} if ingress.tls_secret_name else {}),
        **(_nginx_limit(ingress.rate_limit) if ingress.rate_limit else {}),
    }


def _nginx_limit(limit: RateLimit) -> dict[str, str]:
    """Without a burst nginx refuses each request that comes sooner than 1/rate after the last, as pages' do."""
    burst = limit.requests_per_second if limit.burst is None else limit.burst
    return {
        "nginx.org/limit-req-rate": f"{limit.requests_per_second}r/s",
        "nginx.org/limit-req-key": "${binary_remote_addr}",
        **({"nginx.org/limit-req-burst": str(burst), "nginx.org/limit-req-no-delay": "true"} if burst else {}),
        "nginx.org/limit-req-reject-code": _TOO_MANY_REQUESTS,
        **({"nginx.org/limit-req-scale": "true"} if limit.divide_by_ingress_pods else {}),
    }


def _haproxy(ingress: Ingress) -> dict[str, str]:
    """For HAProxy Technologies' controller, haproxy.org/*. Its redirect would lead to 8443, where its pods listen."""
    redirects = {
        "haproxy.org/ssl-redirect": _redirect(ingress),
        "haproxy.org/ssl-redirect-code": "301",
        "haproxy.org/ssl-redirect-port": "443",
    }
    return {
        "haproxy.org/load-balance": _HAPROXY_METHODS[_method(ingress)],
        **(redirects if ingress.tls_secret_name else {}),
        **(_haproxy_limit(ingress.rate_limit) if ingress.rate_limit else {}),
    }


def _haproxy_limit(limit: RateLimit) -> dict[str, str]:
    return {
        "haproxy.org/rate-limit-requests": str(limit.requests_per_second),
        "haproxy.org/rate-limit-period": "1s",
        "haproxy.org/rate-limit-status-code": _TOO_MANY_REQUESTS,
    }


def _method(ingress: Ingress) -> LoadBalancing:
    return ingress.load_balancing or LoadBalancing.LEAST_CONNECTIONS


def _redirect(ingress: Ingress) -> str:
    return "false" if ingress.https_redirect is False else "true"


_PROFILES: dict[AnnotationProfile, Callable[[Ingress], dict[str, str]]] = {
    AnnotationProfile.CONTOUR: _contour,
    AnnotationProfile.NGINX: _nginx,
    AnnotationProfile.HAPROXY: _haproxy,
    AnnotationProfile.NONE: lambda _ingress: {},
}
