"""Specs that break one rule across fields each, and their neighbours that break none."""

from typing import Any

Spec = dict[str, Any]


def app(**fields: Any) -> Spec:
    return {"image": "a:1"} | fields


def target(**fields: Any) -> Spec:
    return {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}} | fields


def target_metrics(*metrics: Spec) -> Spec:
    return target(scaling={"horizontal": {"metrics": list(metrics)}})


def horizontal(**fields: Any) -> Spec:
    return app(scaling={"horizontal": fields})


def metric(type_: str = "CPU", **fields: Any) -> Spec:
    return {"type": type_, "target": "1"} | fields


def with_metrics(*metrics: Spec, **fields: Any) -> Spec:
    return horizontal(metrics=list(metrics), **fields)


ROUTE = {"parentRefs": [{"name": "public"}]}
LIMIT = {"requestsPerSecond": 5}
NIGHT = {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *"}
REQUESTS = metric("RequestsPerSecond")
ACTIVATING = metric("Prometheus", query="x", activationTarget="0")
ELSEWHERE = {"configMapKeyRef": {"name": "c", "key": "k"}}
LONG_KEY = {"a" * 318: "1"}
OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.25}}

# Fields that describe an app to deploy, each with its default or less: what is stated counts, not what it says.
OF_APPS: Spec = {
    "port": 8000,
    "env": [],
    "envFrom": [],
    "command": [],
    "args": [],
    "resources": {},
    "securityContext": {},
    "health": {},
    "ingress": {"enabled": False},
    "route": ROUTE,
    "cache": {"backend": "None"},
    "serviceAccountName": "web",
    "imagePullSecrets": [],
    "mounts": [],
    "podTemplate": {},
}

GOOD: dict[str, Spec] = {
    "an image alone": app(),
    "a target alone": target(),
    "a target whose requests a source counts": target(monitoring={"requests": "spring"}),
    "a target of another kind": target(targetRef={"apiVersion": "acme.io/v1", "kind": "Farm", "name": "web.a"}),
    "a target of the core group": target(targetRef={"apiVersion": "v1", "kind": "ReplicationController", "name": "a"}),
    "a pinned target": target(replicas=3),
    "a percentage and a container of a target": target_metrics(
        metric(target="60%", container="web"), metric("Memory", target="75.5%"), REQUESTS
    ),
    "a target that is scaled during rollouts": target(scaling={"duringRollout": "UpOnly"}),
    "an app that is scaled during rollouts": app(scaling={"duringRollout": "Scale"}),
    "a route alone": app(route=ROUTE),
    "a worker": app(port=0),
    "a worker with an Ingress that is off": app(port=0, ingress={"enabled": False}),
    "mounts": app(
        mounts=[{"path": "/a", "configMap": "c"}, {"path": "/b", "secret": "s"}, {"path": "/c", "emptyDir": {}}]
    ),
    "fields of pods": app(podTemplate={"spec": {"containers": [{"name": "app", "livenessProbe": None}]}}),
    "a route beside an Ingress that is off": app(route=ROUTE, ingress={"enabled": False}),
    "two listeners of a Gateway": app(
        route={"parentRefs": [{"name": "a", "sectionName": "x"}, {"name": "a", "sectionName": "y"}]}
    ),
    "a limit for nginx by default": app(ingress={"rateLimit": LIMIT | {"burst": 3}, "keepalive": 8}),
    "a limit for nginx by an empty class": app(ingress={"className": "", "rateLimit": LIMIT}),
    "a limit for HAProxy": app(ingress={"className": "haproxy-internal", "rateLimit": LIMIT}),
    "a limit for a class of another name": app(
        ingress={"className": "edge", "annotationProfile": "NGINX", "rateLimit": LIMIT}
    ),
    "what Contour does by itself": app(ingress={"className": "contour", "loadBalancing": "RoundRobin"}),
    "a certificate for Contour": app(
        ingress={"className": "contour", "host": "a.io", "tlsSecretName": "cert", "httpsRedirect": False}
    ),
    "a limit for a class that is nginx's, whatever else is in its name": app(
        ingress={"className": "nginx-beside-contour", "rateLimit": LIMIT}
    ),
    "another profile on Contour's class": app(
        ingress={"className": "contour", "annotationProfile": "NGINX", "rateLimit": LIMIT, "tlsSecretName": "cert"}
    ),
    "every host": app(ingress={"host": "*"}),
    "an unknown class without wishes": app(ingress={"className": "edge"}),
    "a redirect": app(ingress={"tlsSecretName": "cert", "httpsRedirect": True}),
    "no redirect": app(ingress={"httpsRedirect": False}),
    "both resources": app(scaling={"vertical": {"resources": ["cpu", "memory"]}}),
    "one resource": app(scaling={"vertical": {"resources": ["memory"]}}),
    "equal bounds": horizontal(minReplicas=3, maxReplicas=3),
    "two names of one type": with_metrics(metric(name="a"), metric(name="b")),
    "two types without names": with_metrics(metric(), REQUESTS),
    "a query": with_metrics(metric("Prometheus", query="x", targetType="Value")),
    "sleep with a waking metric": with_metrics(ACTIVATING, minReplicas=0),
    "sleep with a waking metric as a number": with_metrics(ACTIVATING | {"activationTarget": 0.5}, minReplicas=0),
    "a burst of requests": with_metrics(REQUESTS, burst={}),
    "forecasts of a metric's requests": with_metrics(REQUESTS, prediction={"enabled": True}),
    "forecasts of an objective's requests": horizontal(prediction={"enabled": True}, objective=OBJECTIVE),
    "a latency as a duration": with_metrics(metric("Latency", target="250ms", quantile=0.9)),
    "a latency in seconds": with_metrics(metric("Latency", target=0.25)),
    "hot pods": with_metrics(metric(aggregate="Percentile", percentile=90)),
    "weights that count": with_metrics(metric(weight=2), REQUESTS | {"weight": "0.5"}, combine="Weighted"),
    "hold": horizontal(fallback={"behavior": "Hold"}),
    "a static fallback": horizontal(fallback={"behavior": "Static", "replicas": 3}),
    "a schedule": horizontal(schedules=[NIGHT | {"maxReplicas": 3}, NIGHT | {"name": "day", "minReplicas": 10}]),
    "a schedule beyond the usual bounds": horizontal(schedules=[NIGHT | {"minReplicas": 20, "maxReplicas": 30}]),
    "a plain variable": app(env=[{"name": "A", "value": "1"}]),
    "a variable from elsewhere": app(env=[{"name": "A", "valueFrom": ELSEWHERE}]),
}

_UNHEARD = "the annotation profile for this className is None"
_NOT_CONTOUR = "Contour has no annotation for loadBalancing"
_NOT_HAPROXY = "HAProxy has no annotation for keepalive"
_NAMES = "two metrics have the same name"
_NEVER_ACTIVATED = "with minReplicas 0 nothing wakes the app"
_PERCENTILE = "aggregate: Percentile and percentile go together"
_FALLBACK = "replicas is for behavior Static and CurrentIfHigher only"

# With the start of the message that says it.
BAD: dict[str, tuple[Spec, str]] = {
    "nothing to scale": ({"scaling": {}}, "exactly one of image and targetRef is needed"),
    "an image beside a target": (target(image="a:1"), "exactly one of image and targetRef is needed"),
    **{
        f"{name} beside a target": (target(**{name: value}), f"{name} cannot be set") for name, value in OF_APPS.items()
    },
    "a path of metrics beside a target": (
        target(monitoring={"path": "/m"}),
        "monitoring.scrape and monitoring.path cannot be set beside targetRef",
    ),
    "a target that scales itself": (
        target(targetRef={"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "name": "a"}),
        "targetRef is a ScalableApp",
    ),
    "sizes of a target": (target(scaling={"mode": "Combined"}), "the pods of a targetRef keep their size"),
    "a container that serves requests": (
        target_metrics(REQUESTS | {"container": "web"}),
        "only types CPU and Memory are of one container",
    ),
    "an Ingress without a port": (app(port=0, ingress={"host": "a.io"}), "port is 0, so the app serves no HTTP"),
    "a route without a port": (app(port=0, route=ROUTE), "port is 0, so the app serves no HTTP"),
    "a mount without a source": (app(mounts=[{"path": "/a"}]), "a mount has one source"),
    "a mount of two": (
        app(mounts=[{"path": "/a", "configMap": "c", "emptyDir": {}}]),
        "a mount has one source",
    ),
    "two ways in": (app(route=ROUTE, ingress={}), "ingress and route are both set"),
    "one Gateway twice": (
        app(route={"parentRefs": [{"name": "a"}, {"name": "a"}]}),
        "parentRefs lists a Gateway twice",
    ),
    "a limit that nobody is told": (app(ingress={"className": "edge", "rateLimit": LIMIT}), _UNHEARD),
    "a method without a profile": (
        app(ingress={"annotationProfile": "None", "loadBalancing": "RoundRobin"}),
        _UNHEARD,
    ),
    "least connections for Contour": (
        app(ingress={"className": "contour", "loadBalancing": "LeastConnections"}),
        _NOT_CONTOUR,
    ),
    "connections for Contour": (app(ingress={"className": "contour-internal", "keepalive": 8}), _NOT_CONTOUR),
    "a limit for Contour": (app(ingress={"annotationProfile": "Contour", "rateLimit": LIMIT}), _NOT_CONTOUR),
    "a certificate without a host on Contour": (
        app(ingress={"className": "contour", "tlsSecretName": "cert"}),
        "Contour serves HTTPS by host name only",
    ),
    "a certificate for every host on Contour": (
        app(ingress={"className": "contour", "tlsSecretName": "cert", "host": "*"}),
        "Contour serves HTTPS by host name only",
    ),
    "connections for HAProxy": (app(ingress={"className": "haproxy", "keepalive": 8}), _NOT_HAPROXY),
    "a burst for HAProxy": (
        app(ingress={"annotationProfile": "HAProxy", "rateLimit": LIMIT | {"burst": 3}}),
        _NOT_HAPROXY,
    ),
    "a divided limit for HAProxy": (
        app(ingress={"className": "haproxy", "rateLimit": LIMIT | {"divideByIngressPods": True}}),
        _NOT_HAPROXY,
    ),
    "a redirect to nothing": (app(ingress={"httpsRedirect": True}), "httpsRedirect needs a certificate"),
    "one resource twice": (app(scaling={"vertical": {"resources": ["cpu", "cpu"]}}), "resources lists one twice"),
    "min over max": (horizontal(minReplicas=4, maxReplicas=3), "minReplicas is larger than maxReplicas"),
    "min over the default max": (horizontal(minReplicas=11), "minReplicas is larger than maxReplicas"),
    "one name twice": (with_metrics(metric(name="a"), REQUESTS | {"name": "a"}), _NAMES),
    "one type twice": (with_metrics(metric(), metric()), _NAMES),
    "a name like a type": (with_metrics(metric(), REQUESTS | {"name": "CPU"}), _NAMES),
    "no query": (with_metrics(metric("Prometheus")), "type Prometheus needs a query"),
    "a query too many": (with_metrics(metric(query="x")), "only type Prometheus can have a query"),
    "Value for a measured type": (with_metrics(metric(targetType="Value")), "this type cannot have a targetType"),
    "sleep without a waking metric": (with_metrics(metric(), minReplicas=0), _NEVER_ACTIVATED),
    "sleep with a query that wakes nobody": (
        with_metrics(metric("Prometheus", query="x"), minReplicas=0),
        _NEVER_ACTIVATED,
    ),
    "a schedule to 0 without one": (horizontal(schedules=[NIGHT | {"minReplicas": 0}]), _NEVER_ACTIVATED),
    "a burst of nothing": (horizontal(burst={}), "burst is based on requests"),
    "forecasts of nothing": (horizontal(prediction={"enabled": True}), "prediction is based on requests"),
    "a quantile of cores": (with_metrics(metric(quantile=0.9)), "only type Latency can have a quantile"),
    "hot pods by latency": (
        with_metrics(metric("Latency", aggregate="Percentile", percentile=90)),
        "a latency is measured over the whole app",
    ),
    "hot pods by a query": (
        with_metrics(metric("Prometheus", query="x", aggregate="Percentile", percentile=90)),
        "a query has no values per pod",
    ),
    "a pod metric that wakes": (with_metrics(metric(activationTarget=0)), "this type cannot be measured without pods"),
    "hot pods without a percentile": (with_metrics(metric(aggregate="Percentile")), _PERCENTILE),
    "a percentile of an average": (with_metrics(metric(percentile=90)), _PERCENTILE),
    "weights that nobody counts": (with_metrics(metric(weight="2")), "only combine: Weighted uses a weight"),
    "a static fallback to nothing": (horizontal(fallback={"behavior": "Static"}), _FALLBACK),
    "hold with replicas": (horizontal(fallback={"behavior": "Hold", "replicas": 3}), _FALLBACK),
    "a schedule without effect": (horizontal(schedules=[NIGHT]), "the schedule changes nothing"),
    "one schedule twice": (
        horizontal(schedules=[NIGHT | {"minReplicas": 2}, NIGHT | {"maxReplicas": 3}]),
        "two schedules have the same name",
    ),
    "a schedule that crosses the bounds": (
        horizontal(schedules=[NIGHT | {"minReplicas": 11}]),
        "a schedule makes minReplicas larger than maxReplicas",
    ),
    "a long name of an annotation": (app(ingress={"annotations": LONG_KEY}), "a key is longer than 317 characters"),
    "two sources": (app(env=[{"name": "A", "value": "1", "valueFrom": {}}]), "value and valueFrom are both set"),
}
