"""Rules across fields, in CEL, which the API server checks when a ScalableApp is written. crd.py puts them in the CRD.

The operator checks the same and more. A field without a default is read behind has() only, so that no rule fails to
evaluate. Quantities have no type in the schema: through dyn() a rule sees only whether they are set, and a map of them
can have no rule: that their keys are short is checked by the operator alone.
"""

from typing import Any, NamedTuple

from scalableapp.core.api.fields import LONGEST_NAME
from scalableapp.core.api.spec import OF_AN_IMAGE


class Rule(NamedTuple):
    """A condition on the object at a path, and the message and field that the user gets when it does not hold."""

    holds: str
    message: str
    field: str = ""

    def as_schema(self, *, old_may_break_it: bool) -> dict[str, Any]:
        """The entry of x-kubernetes-validations.

        Kubernetes itself lets a broken rule pass where nothing at the rule's path changes. The status changes the
        root, and spec.replicas the spec, with each decision: there what was already broken is let pass explicitly.
        """
        entry: dict[str, Any] = {"rule": self.holds, "message": self.message}
        if self.field:
            entry["fieldPath"] = self.field
        if old_may_break_it:
            before = self.holds.replace("self.", "oldSelf.value().")
            entry |= {"rule": f"({self.holds}) || (oldSelf.hasValue() && !({before}))", "optionalOldSelf": True}
        return entry


_PROFILE_NONE = (
    "(has(self.annotationProfile) ? self.annotationProfile == 'None' : has(self.className) && self.className != '' "
    "&& !['nginx', 'haproxy', 'contour'].exists(name, self.className.contains(name)))"
)
_PROFILE_CONTOUR = (
    "(has(self.annotationProfile) ? self.annotationProfile == 'Contour' : has(self.className) "
    "&& self.className.contains('contour') && !['nginx', 'haproxy'].exists(name, self.className.contains(name)))"
)
_PROFILE_HAPROXY = (
    "(has(self.annotationProfile) ? self.annotationProfile == 'HAProxy' "
    ": has(self.className) && self.className.contains('haproxy'))"
)

_TARGET = (
    Rule(
        "has(self.image) != has(self.targetRef)",
        "exactly one of image and targetRef is needed; keep image to deploy an app, or targetRef to scale a workload "
        "that exists",
    ),
    Rule(
        "!has(self.targetRef) || self.scaling.mode == 'Horizontal'",
        "the pods of a targetRef keep their size; use scaling.mode: Horizontal",
    ),
    Rule(
        "!has(self.targetRef) || !has(self.monitoring) || !(has(self.monitoring.scrape) || has(self.monitoring.path))",
        "monitoring.scrape and monitoring.path cannot be set beside targetRef, whose pods the operator does not "
        "change; remove them",
    ),
    *(
        Rule(
            f"!has(self.targetRef) || !has(self.{name})",
            f"{name} cannot be set beside targetRef, whose pods the operator does not change; remove it",
        )
        for name in sorted(OF_AN_IMAGE)
    ),
)

RULES: dict[str, tuple[Rule, ...]] = {
    "": (
        Rule(
            "!has(self.spec.cache) || self.spec.cache.backend != 'Redis' || size(self.metadata.name) <= 57",
            "the name is too long for an app with a Redis; use at most 57 characters or another spec.cache.backend",
            field=".metadata.name",
        ),
    ),
    "spec": (
        *_TARGET,
        Rule(
            "!has(self.route) || !has(self.ingress) || !self.ingress.enabled",
            "ingress and route are both set, and an app is exposed by one of them; remove ingress to use the Gateway, "
            "or route to use the Ingress",
        ),
        Rule(
            "!has(self.port) || self.port != 0 || !(has(self.route) || (has(self.ingress) && self.ingress.enabled))",
            "port is 0, so the app serves no HTTP, but ingress or route exposes it; set port, or remove them",
        ),
    ),
    "spec.mounts[]": (
        Rule(
            "[has(self.configMap), has(self.secret), has(self.emptyDir)].filter(given, given).size() == 1",
            "a mount has one source; set exactly one of configMap, secret and emptyDir",
        ),
    ),
    "spec.ingress.annotations": (
        Rule(
            f"self.all(name, size(name) <= {LONGEST_NAME})",
            f"a key is longer than {LONGEST_NAME} characters; shorten it",
        ),
    ),
    "spec.env[]": (
        Rule(
            "!has(self.value) || !has(self.valueFrom)",
            "value and valueFrom are both set; keep one of them",
        ),
    ),
    "spec.ingress": (
        Rule(
            f"!{_PROFILE_NONE} || !(has(self.loadBalancing) || has(self.keepalive) || has(self.rateLimit) "
            "|| has(self.httpsRedirect))",
            "the annotation profile for this className is None, which has no annotations for loadBalancing, "
            "keepalive, rateLimit and httpsRedirect; remove them, or set annotationProfile to Contour, NGINX or "
            "HAProxy if that is your controller",
        ),
        Rule(
            f"!{_PROFILE_CONTOUR} || !(has(self.keepalive) || has(self.rateLimit) "
            "|| (has(self.loadBalancing) && self.loadBalancing == 'LeastConnections'))",
            "Contour has no annotation for loadBalancing: LeastConnections, keepalive and rateLimit; remove them",
        ),
        Rule(
            f"!{_PROFILE_CONTOUR} || !has(self.tlsSecretName) || (has(self.host) && self.host != '*')",
            "Contour serves HTTPS by host name only; add host, or remove tlsSecretName",
        ),
        Rule(
            f"!{_PROFILE_HAPROXY} || !(has(self.keepalive) || (has(self.rateLimit) && (has(self.rateLimit.burst) "
            "|| self.rateLimit.divideByIngressPods)))",
            "HAProxy has no annotation for keepalive, rateLimit.burst and rateLimit.divideByIngressPods; remove them",
        ),
        Rule(
            "!has(self.httpsRedirect) || !self.httpsRedirect || has(self.tlsSecretName)",
            "httpsRedirect needs a certificate; add tlsSecretName or remove httpsRedirect",
        ),
    ),
    "spec.route": (
        Rule(
            "self.parentRefs.all(a, self.parentRefs.exists_one(b, a == b))",
            "parentRefs lists a Gateway twice; keep one of each",
        ),
    ),
    "spec.scaling.horizontal": (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas is larger than maxReplicas; lower minReplicas or raise maxReplicas",
        ),
        Rule(
            "self.metrics.all(a, self.metrics.exists_one(b, (has(a.name) ? a.name : a.type) "
            "== (has(b.name) ? b.name : b.type)))",
            "two metrics have the same name, or no name and the same type; give each metric its own name",
        ),
        Rule(
            "(self.minReplicas > 0 && self.schedules.all(s, !has(s.minReplicas) || s.minReplicas > 0)) "
            "|| self.metrics.exists(m, has(dyn(m).activationTarget))",
            "with minReplicas 0 nothing wakes the app; add activationTarget to a metric of type Prometheus, or of "
            "type RequestsPerSecond with a request source per app",
        ),
        Rule(
            "!has(self.burst) || self.metrics.exists(m, m.type == 'RequestsPerSecond')",
            "burst is based on requests; add a metric of type RequestsPerSecond or remove burst",
        ),
        Rule(
            "!self.prediction.enabled || has(self.objective) || self.metrics.exists(m, m.type == 'RequestsPerSecond')",
            "prediction is based on requests; add an objective or a metric of type RequestsPerSecond, or remove "
            "prediction",
        ),
        Rule(
            "self.combine == 'Weighted' || !self.metrics.exists(m, has(dyn(m).weight))",
            "only combine: Weighted uses a weight; remove weight or use combine: Weighted",
        ),
        Rule(
            "self.schedules.all(a, self.schedules.exists_one(b, a.name == b.name))",
            "two schedules have the same name; give each schedule its own name",
        ),
        Rule(
            "self.schedules.all(s, (has(s.minReplicas) ? s.minReplicas : self.minReplicas) "
            "<= (has(s.maxReplicas) ? s.maxReplicas : self.maxReplicas))",
            "a schedule makes minReplicas larger than maxReplicas; set both in the schedule",
        ),
    ),
    "spec.targetRef": (
        Rule(
            "self.kind != 'ScalableApp'",
            "targetRef is a ScalableApp, which scales itself; name another workload",
        ),
    ),
    "spec.scaling.horizontal.fallback": (
        Rule(
            "(self.behavior == 'Hold') != has(self.replicas)",
            "replicas is for behavior Static and CurrentIfHigher only; add or remove replicas",
        ),
    ),
    "spec.scaling.horizontal.schedules[]": (
        Rule(
            "has(self.minReplicas) || has(self.maxReplicas)",
            "the schedule changes nothing; add minReplicas or maxReplicas",
        ),
    ),
    "spec.scaling.horizontal.metrics[]": (
        Rule(
            "self.type != 'Prometheus' || has(self.query)",
            "type Prometheus needs a query; add query: with PromQL that returns one number",
        ),
        Rule(
            "self.type == 'Prometheus' || !has(self.query)",
            "only type Prometheus can have a query; remove query or use type: Prometheus",
        ),
        Rule(
            "self.type == 'Prometheus' || self.targetType == 'AverageValue'",
            "this type cannot have a targetType; remove targetType or use type: Prometheus",
        ),
        Rule(
            "self.type == 'Latency' || !has(self.quantile)",
            "only type Latency can have a quantile; remove quantile or use type: Latency",
        ),
        Rule(
            "self.type != 'Latency' || self.aggregate == 'Average'",
            "a latency is measured over the whole app; remove aggregate and use quantile to choose the latency",
        ),
        Rule(
            "self.type != 'Prometheus' || self.aggregate == 'Average'",
            "a query has no values per pod; remove aggregate or use quantile() in the query",
        ),
        Rule(
            "self.type in ['Prometheus', 'RequestsPerSecond'] || !has(dyn(self).activationTarget)",
            "this type cannot be measured without pods; remove activationTarget, or use type: Prometheus, or "
            "RequestsPerSecond with a request source per app",
        ),
        Rule(
            "(self.aggregate == 'Percentile') == has(self.percentile)",
            "aggregate: Percentile and percentile go together; add or remove both",
        ),
        Rule(
            "self.type in ['CPU', 'Memory'] || !has(self.container)",
            "only types CPU and Memory are of one container; remove container or use type: CPU or Memory",
        ),
    ),
    "spec.scaling.vertical": (
        Rule(
            "self.resources.size() < 2 || self.resources[0] != self.resources[1]",
            "resources lists one twice; write [cpu, memory], [cpu] or [memory]",
        ),
    ),
}
# Of the spec of a RequestSource.
SOURCE_RULES = [
    {"rule": rule, "message": message}
    for rule, message in (
        (
            "(self.per == 'App') == has(self.labels.app)",
            "per: App and labels.app go together; add or remove both",
        ),
        ("self.per == 'App' || self.app == '$app'", "app is for per: App only; remove it or use per: App"),
        (
            "self.per == 'App' || self.labels.namespace != ''",
            "per: Pod needs labels.namespace; write the label that has the pod's namespace",
        ),
        (
            "self.app.contains('$app') || self.app.contains('$service')",
            "app matches every app alike; use $app or $service in it",
        ),
        (
            "self.labels.namespace != '' || self.app.contains('$namespace')",
            "without labels.namespace the apps of two namespaces are mixed; use $namespace in app",
        ),
    )
]
# Here something changes with each decision: the status, and replicas.
_CHANGING = ("", "spec")


def add_rules(root: dict[str, Any]) -> dict[str, Any]:
    """The schema of a whole ScalableApp with the rules at their places."""
    for path, rules in RULES.items():
        node = root
        for name in path.split(".") if path else ():
            node = node["properties"][name.removesuffix("[]")]
            node = node["items"] if name.endswith("[]") else node
        node["x-kubernetes-validations"] = [rule.as_schema(old_may_break_it=path in _CHANGING) for rule in rules]
    return root
