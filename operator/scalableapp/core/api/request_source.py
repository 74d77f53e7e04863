"""A request source: which series count an app's requests, their failures and durations, and whose they are.

The fields are the admin's, so that every app of a source is asked for by one query, grouped by labels that no app
chooses. Texts become parts of PromQL only as names that were checked or as quoted strings.
"""

import re
from enum import StrEnum
from functools import cached_property
from itertools import takewhile
from string import ascii_letters, digits
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from scalableapp.core.api.fields import Model
from scalableapp.core.model import AppKey

_METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:.]*$"
_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\\n]|\\["\\])*)"\s*')
_PLACE = re.compile(r"\$(namespace|app|service)")
_PLAIN = frozenset("-_@:/ " + ascii_letters + digits)
_UNKNOWN_PLACE = re.compile(r"\$(?!namespace|app|service)(\w+)")
NAMESPACE, POD = "namespace", "pod"
# What stands for the namespace of series that have no label for it; no namespace is called so.
ANY_NAMESPACE = "*"

MetricName = Annotated[str, Field(min_length=1, max_length=200, pattern=_METRIC)]
LabelName = Annotated[str, Field(min_length=1, max_length=100, pattern=_LABEL)]


def quoted(text: str) -> str:
    """A string of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _regexp(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:60]!r} is not a regular expression ({error}); correct it") from None
    return text


def _matchers(text: str) -> str:
    """Matchers as they stand between the braces of a selector, each read and written anew."""
    found, at = [], 0
    while at < len(text):
        match = _MATCHER.match(text, at)
        if match is None:
            raise ValueError(
                f'{text[at : at + 60]!r} is no matcher; write label="value", with commas between several, and =~ for a '
                "regular expression"
            )
        label, operator, value = match.groups()
        value = re.sub(r"\\(.)", r"\1", value)
        found.append(f"{label}{operator}{quoted(_regexp(value) if '~' in operator else value)}")
        at = match.end()
        if at < len(text):
            if text[at] != ",":
                raise ValueError(f"{text[at : at + 60]!r} follows a matcher; write a comma between two matchers")
            at += 1
    return ",".join(found)


Matchers = Annotated[str, Field(max_length=500), AfterValidator(_matchers)]
Regexp = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_regexp)]


class Unit(StrEnum):
    """What a histogram of durations counts in."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"

    @property
    def in_a_second(self) -> float:
        """How many of it are a second."""
        return {"s": 1.0, "ms": 1e3, "us": 1e6}[self.value]


class Per(StrEnum):
    """What a series belongs to."""

    POD = "Pod"
    APP = "App"


class Failed(Model):
    """Which of the requests have failed."""

    label: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*(\|[a-zA-Z_][a-zA-Z0-9_]*)*$",
        description="Label that holds the status. Several possible names are separated by |.",
    )
    values: Regexp = Field("5..", description="Regular expression of the statuses that are failures: 5.., 5xx or 5.")


class Duration(Model):
    """The histogram of the requests' durations."""

    metric: MetricName = Field(description="Name of the histogram, without _bucket.")
    unit: Unit = Field(Unit.SECONDS, description="Unit of its buckets: s, ms or us.")
    where: Matchers = Field("", description="Further matchers that only the histogram needs.")


class Labels(Model):
    """Labels that tell whose series these are."""

    namespace: str = Field(
        NAMESPACE,
        max_length=100,
        pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*)?$",
        description='Label with the app\'s namespace; "" if only the app label tells, which then must contain it.',
    )
    pod: LabelName = Field(POD, description="Label with the pod's name, if the source is per Pod.")
    app: LabelName | None = Field(None, description="Label that names the workload, if the source is per App.")


class RequestSource(Model):
    """Which series count the requests of apps: what an exporter, a mesh or an ingress calls them."""

    requests: MetricName = Field(description="Counter of requests; the _count of a histogram will do.")
    failed: Failed | None = Field(None, description="Which of them have failed. Needed by an objective.")
    duration: Duration | None = Field(
        None, description="Histogram of their durations. Needed by metrics of type Latency and by an objective."
    )
    where: Matchers = Field("", description='Matchers that all series must meet, such as reporter="waypoint".')
    per: Per = Field(
        Per.POD,
        description="Pod: labels.pod names the pod. App: labels.app names the workload, as an ingress or a mesh does; "
        "then the load is what arrives, and it is known even without any pod.",
    )
    labels: Labels = Field(default_factory=Labels, description="Labels that tell whose series these are.")
    app: Regexp = Field(
        "$app",
        description="Regular expression of the whole value of labels.app for an app. $namespace, $app and $service "
        "stand for the app's namespace, its name and its Service. Only with per: App.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        per_app = self.per is Per.APP
        if per_app and self.labels.app is None:
            raise ValueError("per: App needs labels.app; add the label that names the workload, or use per: Pod")
        if not per_app and self.labels.app is not None:
            raise ValueError("labels.app is for per: App only; remove it or use per: App")
        if not per_app and not self.labels.namespace:
            raise ValueError("per: Pod needs labels.namespace; write the label that has the pod's namespace")
        if not per_app and self.app != "$app":
            raise ValueError("app is for per: App only; remove it or use per: App")
        if unknown := _UNKNOWN_PLACE.search(self.app):
            raise ValueError(f"app: {unknown[0]} stands for nothing; use $namespace, $app and $service")
        if per_app and not {"app", "service"} & set(_PLACE.findall(self.app)):
            raise ValueError("app matches every app alike; use $app or $service in it")
        if per_app and not self.labels.namespace and "$namespace" not in self.app:
            raise ValueError("without labels.namespace the apps of two namespaces are mixed; use $namespace in app")
        return self

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Computed once: each look finds answers by it, for each app."""
        return hash(self.model_dump_json())

    @property
    def per_app(self) -> bool:
        """Whether its series belong to an app as a whole."""
        return self.per is Per.APP

    @cached_property
    def _template(self) -> tuple[str, ...]:
        return tuple(_PLACE.split(self.app))

    def pattern(self, key: AppKey) -> re.Pattern[str]:
        """What the app label of that app's series looks like. Names are plain text in it."""
        names = _names(key)
        parts = (re.escape(names[part]) if number % 2 else part for number, part in enumerate(self._template))
        return re.compile("".join(parts))

    def start(self, key: AppKey) -> str:
        """What every text that matches the app's pattern begins with."""
        names, found, before = _names(key), "", ""
        for number, part in enumerate(() if "|" in self.app else self._template):
            if number % 2:
                found, before = found + names[part], found
                continue
            plain = "".join(takewhile(_PLAIN.issuperset, part))
            if part[len(plain) :].startswith(("*", "?", "{")):  # what comes before may be missing
                return found + plain[:-1] if plain else before
            found += plain
            if plain != part:
                break
        return found


def _names(key: AppKey) -> dict[str, str]:
    return {"namespace": key.namespace, "app": key.name, "service": key.name}


class Source(NamedTuple):
    """A request source by its name. `advice` says how to get a histogram where it has none."""

    name: str
    source: RequestSource
    advice: str = ""


def parse_source(name: str, raw: Any) -> Source | str:
    """A source as the admin wrote it, or what is wrong with it: fields and fixes."""
    try:
        return Source(name, RequestSource.model_validate(raw))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[:5]
        problems = (f"spec{''.join(f'.{part}' for part in entry['loc'])}: {_message(entry)}" for entry in found)
        return "; ".join(problems)


def _message(entry: Any) -> str:
    text: str = entry["msg"].removeprefix("Value error, ")
    return text[:300]
