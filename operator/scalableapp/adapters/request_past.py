"""Whose the series of the past are, by the names of pods, or by what a proxy calls the app.

Pods of the past no longer exist, so nothing but their names tells whose they were. A Deployment's pods are called
NAME-HASH-SUFFIX; neither hash nor suffix holds a hyphen, and both are of letters and digits that make no words
(k8s.io/apimachinery/pkg/util/rand), so shop-web's pods are never taken for shop's. Names beyond 47 characters are
cut by Kubernetes and not recognised: such an app starts without a past.
"""

from collections.abc import Collection

from scalableapp.adapters.prometheus_queries import Owner
from scalableapp.adapters.request_queries import RequestQueries, queries_of
from scalableapp.core.api.request_source import RequestSource, quoted
from scalableapp.core.model import AppKey

APP = "scalableapp"
_LETTER = "[bcdfghjklmnpqrstvwxz2456789]"
POD_SUFFIX = f"{_LETTER}{{1,10}}-{_LETTER}{{5}}"
_OF_PODS = Owner()


def pods_of(apps: Collection[AppKey], owner: Owner = _OF_PODS) -> str:
    """Matchers for the series of the pods of Deployments by these names."""
    namespaces = "|".join(sorted({key.namespace for key in apps}))
    names = "|".join(sorted({key.name for key in apps}))
    return f'{owner.namespace}=~"{namespaces}",{owner.pod}=~"(?:{names})-{POD_SUFFIX}"'


def by_app(how: str, per_pod: str, *labels: str) -> str:
    """What a query brings for each pod, summed up or counted for each app, and for each value of `labels`."""
    named = f'label_replace({per_pod}, "{APP}", "$1", "pod", "(.+)-{POD_SUFFIX}")'
    return f"{how} by ({', '.join(('namespace', APP, *labels))}) ({named})"


class Past:
    """What a source says of the past; without one, the default source."""

    def __init__(self, source: RequestSource | None = None) -> None:
        self._source = source
        self.per_app = source is not None and source.per_app
        self.queries = queries_of(source) if source else RequestQueries()

    def matcher(self, apps: Collection[AppKey]) -> str:
        """Matchers for the series of these apps."""
        owner = self.queries.rate.owner
        if self._source is None or not self.per_app:
            return pods_of(apps, owner)
        values = "|".join(self._source.pattern(key).pattern for key in sorted(apps))
        namespaces = "|".join(sorted({key.namespace for key in apps}))
        of_namespaces = f'{owner.namespace}=~"{namespaces}",' if owner.namespace else ""
        return f"{of_namespaces}{owner.pod}=~{quoted(values)}"

    def loads(self, apps: Collection[AppKey], how: str, window: float) -> str:
        """Requests per second of each app over `window` seconds, or the number of its series that have any."""
        return self.by_app(apps, how, self.queries.rate.query(self.matcher(apps), window))

    def by_app(self, apps: Collection[AppKey], how: str, values: str, *labels: str) -> str:
        """What a query brings for each pod or proxy's name of the app, as the function of this name does."""
        if self._source is None or not self.per_app:
            return by_app(how, values, *labels)
        for key in sorted(apps):
            values = self._named(key, values)
        return f"{how} by ({', '.join(('namespace', APP, *labels))}) ({values})"

    def _named(self, key: AppKey, values: str) -> str:
        """The values with the app's name where the series are the app's, and its namespace if they have none."""
        if self._source is None:
            return values
        pattern = quoted(self._source.pattern(key).pattern)
        named = f'label_replace({values}, "{APP}", "{key.name}", "pod", {pattern})'
        if self._source.labels.namespace:
            return named  # apps of one name are told apart by the namespace that the series have
        return f'label_replace({named}, "namespace", "{key.namespace}", "pod", {pattern})'
