"""Request sources: what may be written in one, and what becomes of it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.presets import LOOKED_FOR, PRESETS, SIGNS, recognised
from scalableapp.core.api.request_source import RequestSource, Source, parse_source, quoted
from scalableapp.core.model import AppKey

PER_APP: dict[str, Any] = {"requests": "x_total", "per": "App", "labels": {"app": "service"}}


def test_a_source_with_all_fields_is_read() -> None:
    found = parse_source(
        "istio-ambient",
        {
            "requests": "istio_requests_total",
            "failed": {"label": "response_code", "values": "5.."},
            "duration": {"metric": "istio_request_duration_milliseconds", "unit": "ms"},
            "where": 'reporter="waypoint"',
            "per": "App",
            "labels": {"namespace": "destination_workload_namespace", "app": "destination_workload"},
            "app": "$app",
        },
    )
    assert isinstance(found, Source)
    assert found.source == PRESETS["istio-ambient"].source


WRONG: dict[str, tuple[Any, str]] = {
    "no counter": ({}, "spec.requests: Field required"),
    "an unknown field": ({"requests": "x", "rate": "5m"}, "spec.rate"),
    "a query for a counter": ({"requests": "sum(x)"}, "spec.requests"),
    "half a matcher": ({"requests": "x", "where": 'a="b'}, "is no matcher; write label="),
    "no comma": ({"requests": "x", "where": 'a="b" c="d"'}, "write a comma"),
    "an end of the selector": ({"requests": "x", "where": 'a="b"} or up{b="c"'}, "follows a matcher"),
    "a bad expression": ({"requests": "x", "where": 'a=~"("'}, "is not a regular expression"),
    "bad statuses": ({"requests": "x", "failed": {"label": "code", "values": "5("}}, "spec.failed.values"),
    "a unit of its own": ({"requests": "x", "duration": {"metric": "y", "unit": "min"}}, "spec.duration.unit"),
    "no app label": (PER_APP | {"labels": {}}, "add the label that names the workload"),
    "an app label per pod": (PER_APP | {"per": "Pod"}, "labels.app is for per: App only"),
    "an app pattern per pod": ({"requests": "x", "app": "web"}, "app is for per: App only"),
    "one pattern for all apps": (PER_APP | {"app": ".*"}, "matches every app alike"),
    "an unknown variable": (PER_APP | {"app": "$pod"}, "$pod stands for nothing"),
    "no namespace at all": (PER_APP | {"labels": {"app": "a", "namespace": ""}}, "use $namespace in app"),
    "no text": ([], "spec"),
}


@pytest.mark.parametrize(("raw", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_with_its_field(raw: Any, message: str) -> None:
    found = parse_source("mine", raw)
    assert isinstance(found, str)
    assert message in found


def test_matchers_are_written_anew() -> None:
    source = RequestSource.model_validate({"requests": "x", "where": r' a = "b\"c" ,d=~"e|f",'})
    assert source.where == r'a="b\"c",d=~"e|f"'


@given(st.text(max_size=30))
def test_a_quoted_text_never_ends_its_string(text: str) -> None:
    assert re.fullmatch(r'"(?:[^"\\\n]|\\.)*"', quoted(text))


PATTERNS = {
    "traefik": ("shop-web-80@kubernetes", "shop-web-80@kubernetescrd"),
    "haproxy": ("shop_svc_web_http", "shop_svc_web-api_http"),
    "contour": ("shop_web_80", "shop_webs_80"),
    "kong": ("shop.web.80", "shopxweb.80"),
    "apisix": ("shop_web_rule", "shop_webs_rule"),
    "ingress-nginx": ("web", "web-api"),
}


@pytest.mark.parametrize(("name", "values"), PATTERNS.items(), ids=PATTERNS.keys())
def test_a_proxy_s_name_for_an_app_is_told_from_others(name: str, values: tuple[str, str]) -> None:
    pattern = PRESETS[name].source.pattern(AppKey("shop", "web"))
    assert [bool(pattern.fullmatch(value)) for value in values] == [True, False]


STARTS = {
    "$app": "web",
    "$namespace-$service-[0-9]+": "shop-web-",
    "a?$app": "",
    "$app?": "",
    "x|$app": "",
    ".*$app": "",
}


@pytest.mark.parametrize(("pattern", "start"), STARTS.items(), ids=STARTS.keys())
def test_what_a_match_begins_with_is_known(pattern: str, start: str) -> None:
    source = RequestSource.model_validate(PER_APP | {"app": pattern})
    assert source.start(AppKey("shop", "web")) == start


SERVED: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "nothing": ([], ()),
    "something else": (["up"], ()),
    "one exporter": (["flask_http_request_total"], ("flask",)),
    "the usual names": (["http_requests_total", "http_request_duration_seconds_count"], ("default",)),
    "the usual names beside others": (["http_requests_total", "flask_http_request_total"], ("default",)),
    "a histogram alone": (["http_request_duration_seconds_count"], ("express",)),
    "a counter of its own and a histogram that others have, too": (
        ["http_requests_received_total", "http_request_duration_seconds_count"],
        ("dotnet",),
    ),
    "finer buckets": (["http_requests_total", "http_request_duration_highr_seconds_count"], ("fastapi",)),
    "both conventions of OpenTelemetry": (
        ["http_server_request_duration_seconds_count", "http_server_duration_milliseconds_count"],
        ("otel",),
    ),
    "two exporters": (["flask_http_request_total", "starlette_requests_total"], ("flask", "starlette")),
    "a sidecar beside the app": (["istio_requests_total", "flask_http_request_total"], ("flask",)),
    "a sidecar alone": (["istio_requests_total"], ("istio",)),
}


@pytest.mark.parametrize(("served", "names"), SERVED.values(), ids=SERVED.keys())
def test_a_source_is_recognised_by_what_pods_serve(served: list[str], names: tuple[str, ...]) -> None:
    assert recognised(served) == names


def test_what_is_looked_for_is_of_the_pods_own_and_plain_text_in_an_expression() -> None:
    assert not any(PRESETS[name].source.per_app for name in LOOKED_FOR)
    assert all(re.fullmatch("[a-z0-9_]+", metric) for metric in SIGNS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_how_to_get_a_histogram(name: str) -> None:
    assert PRESETS[name].advice
    assert parse_source(name, PRESETS[name].source.model_dump(by_alias=True)) == Source(name, PRESETS[name].source)
