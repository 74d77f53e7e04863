"""Addresses of Prometheus as people write them."""

import pytest

from scalableapp.core.address import Address, address, printable, printable_address
from scalableapp.errors import WrongAddress

KEPT = {
    "host and port": ("http://prometheus:9090", Address("http://prometheus:9090")),
    "slash at the end": ("http://prometheus:9090/", Address("http://prometheus:9090")),
    "no port": ("https://metrics.example.com", Address("https://metrics.example.com")),
    "path": ("https://mimir.example.com/prometheus", Address("https://mimir.example.com/prometheus")),
    "deep path with slashes": ("http://vm:8481/select/0/prometheus//", Address("http://vm:8481/select/0/prometheus")),
    "IPv6": ("http://[fd00::1]:9090", Address("http://[fd00::1]:9090")),
    "IPv6 without port": ("http://[::1]/prom", Address("http://[::1]/prom")),
    "upper case": ("HTTP://Prometheus:9090", Address("http://Prometheus:9090")),
    "parameters": (
        "http://thanos:9090?dedup=true&partial_response=false",
        Address("http://thanos:9090", (("dedup", "true"), ("partial_response", "false"))),
    ),
    "parameters after a path": ("https://x/p/?namespace=shop", Address("https://x/p", (("namespace", "shop"),))),
    "parameter of nothing": ("http://x?nocache=", Address("http://x", (("nocache", ""),))),
    "a parameter with an @": ("http://x?who=a@b", Address("http://x", (("who", "a@b"),))),
    "line end, as of a file": ("http://prometheus:9090\n", Address("http://prometheus:9090")),
}


@pytest.mark.parametrize(("text", "expected"), KEPT.values(), ids=KEPT.keys())
def test_each_part_is_kept(text: str, expected: Address) -> None:
    assert address(text) == expected


REFUSED = {
    "empty": ("", "has no scheme"),
    "no scheme": ("prometheus:9090", "has no scheme; write it as http://HOST:PORT"),
    "no scheme, a path": ("prometheus.monitoring.svc/prom", "has no scheme"),
    "two slashes only": ("//prometheus:9090", "has no scheme"),
    "another scheme": ("unix:///run/prometheus.sock", "other than http and https"),
    "no host": ("http:///prom", "has no host"),
    "port only": ("http://:9090", "has no host"),
    "colon without a port": ("http://prometheus:", "no port after it"),
    "port too large": ("http://prometheus:99999", "port that cannot be read"),
    "port 0": ("http://prometheus:0", "no port after it"),
    "port in words": ("http://prometheus:web", "port that cannot be read"),
    "IPv6 without brackets": ("http://fd00::1:9090", "an IPv6 address in brackets"),
    "half a bracket": ("http://[fd00::1:9090", "an IPv6 address in brackets"),
    "blank": ("http://prome theus:9090", "contains white space"),
    "fragment": ("http://prometheus:9090/#top", "a part after #"),
    "the API's path": ("http://prometheus:9090/api/v1", "adds itself"),
    "a query's path": ("http://prometheus:9090/prom/api/v1/query?query=up", "adds itself"),
    "page": ("http://prometheus:9090/graph?g0.expr=up", "the address of a web page"),
    "VictoriaMetrics' page": ("http://vm:8481/select/0/vmui/", "the address of a web page"),
    "parameters that are none": ("http://x?dedup", "NAME=VALUE"),
    "the operator's own parameters": ("http://x?timeout=1s&query=up", "sets query, timeout"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_refused_with_a_message(text: str, message: str) -> None:
    with pytest.raises(WrongAddress) as error:
        address(text)
    assert message in str(error.value)


WITH_PASSWORDS = {
    "user and password": "http://admin:S3cret@prometheus:9090",
    "user": "http://S3cret@prometheus:9090",
    "password alone": "http://:S3cret@prometheus:9090",
    "with a slash in it": "http://admin:S3cret/x@prometheus:9090",
    "with an @ in it": "http://admin:S3cret@x@prometheus:9090",
    "with a colon in it": "http://admin:x:S3cret@prometheus:9090",
    "with a blank in it": "http://admin:x S3cret@prometheus:9090",
    "percent-encoded": "http://admin:S3cret%40@prometheus:9090",
    "without a scheme": "admin:S3cret@prometheus:9090",
    "of another scheme": "ftp://admin:S3cret@prometheus:9090",
    "and a wrong port": "http://admin:S3cret@prometheus:99999",
    "and parameters": "https://admin:S3cret@prometheus/x?dedup=true",
    "upper case": "HTTPS://admin:S3cret@prometheus",
}


@pytest.mark.parametrize("text", WITH_PASSWORDS.values(), ids=WITH_PASSWORDS.keys())
def test_a_password_is_refused_and_shown_to_nobody(text: str) -> None:
    with pytest.raises(WrongAddress, match="a user name or a password") as error:
        address(text)
    assert "SCALABLEAPP_PROMETHEUS_CONFIG" in str(error.value)
    assert "S3cret" not in str(error.value)
    assert "S3cret" not in printable_address(text)
    assert printable_address(text).count("prometheus") == 1


TEXTS = {
    "plain": ("no connection to http://x:9090/y", "no connection to http://x:9090/y"),
    "password": ("redirect to https://a:b@x/y, to log in", "redirect to https://x/y, to log in"),
    "token": ("url: https://x/y?token=S3cret (Caused by z)", "url: https://x/y (Caused by z)"),
    "path of urllib3": ("with url: /api/v1/query?token=S3cret (Caused by z)", "with url: /api/v1/query (Caused by z)"),
    "two": ("http://a@x, http://b@y", "http://x, http://y"),
    "a mail address": ("ask ops@example.com", "ask ops@example.com"),
    "PromQL": ('parse error: "a @ 5?"', 'parse error: "a @ 5?"'),
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS.keys())
def test_addresses_in_a_text_are_shown_without_what_is_secret(text: str, shown: str) -> None:
    assert printable(text) == shown
