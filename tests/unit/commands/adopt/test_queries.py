"""Queries of other autoscalers: bound to the namespace where that means the same, and refused where it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.commands.adopt.queries import CannotBind, in_namespace
from scalableapp.core.api.promql import bind
from scalableapp.core.model import AppKey

KEY = AppKey("shop", "web")
NS = 'namespace="$namespace"'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("up", f"up{{{NS}}}"),
        ("up{}", f"up{{{NS}}}"),
        (" sum(rate(x_total[2m]))\n", f"sum(rate(x_total{{{NS}}}[2m]))"),
        ('x{job="a"}', f'x{{{NS}, job="a"}}'),
        ('x{namespace="shop"}', 'x{namespace="shop"}'),
        ('x{namespace=~"shop"}', f'x{{{NS}, namespace=~"shop"}}'),
        (
            "sum by (x) (rate(a[1m])) / on (x) b offset 5m",
            f"sum by (x) (rate(a{{{NS}}}[1m])) / on (x) b{{{NS}}} offset 5m",
        ),
        (r"x{path=~`/a\.b  c`}", rf'x{{{NS}, path=~"/a\\.b  c"}}'),
        ("x{a=\"{up}\", b='}'}", f"x{{{NS}, a=\"{{up}}\", b='}}'}}"),
        ("up # of up\n> bool 3", f"up{{{NS}}} # of up\n> bool 3"),
        ("max_over_time(up[1h:5m])", f"max_over_time(up{{{NS}}}[1h:5m])"),
        ("a up_total".replace(" ", " or "), f"a{{{NS}}} or up_total{{{NS}}}"),
        ('label_replace(up, "up", "$1", "b", "(.*)")', f'label_replace(up{{{NS}}}, "up", "$1", "b", "(.*)")'),
        ('{__name__=~"q_.*"}', f'{{{NS}, __name__=~"q_.*"}}'),
        ('sum(a{namespace="shop"}) / sum(b)', f'sum(a{{namespace="shop"}}) / sum(b{{{NS}}})'),
        ("sum(namespace:x:rate5m)", f"sum(namespace:x:rate5m{{{NS}}})"),
        ("vector(1e5)", "vector(1e5)"),
    ],
)
def test_each_selector_asks_for_the_namespace_of_the_app(query: str, expected: str) -> None:
    assert in_namespace(query, KEY) == (expected, expected != query.strip())


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ('x{namespace="other"}', "asks for other namespaces"),
        ('x{namespace=~"shop|other"}', "asks for other namespaces"),
        ('x{namespace!="kube-system"}', "asks for other namespaces"),
        ('x{exported_namespace="shop"}', "has the namespace of the app in exported_namespace"),
        ('istio_requests_total{destination_workload_namespace="shop"}', "in destination_workload_namespace"),
        ("job:x:rate5m", "is a recording rule"),
        ("info(x)", "calls info()"),
        ("sum(", "is not valid PromQL"),
        ("", "is not valid PromQL"),
        ("x[5m]", "returns a range or a string"),
        ("sum by (up) (up)", "is not valid PromQL"),
    ],
)
def test_what_would_mean_something_else_is_refused_with_the_reason(query: str, why: str) -> None:
    with pytest.raises(CannotBind, match=why.replace("(", r"\(").replace(")", r"\)")):
        in_namespace(query, KEY)


names = st.sampled_from(["up", "x_total", "a:b:namespace"])
labels = st.sampled_from(["", '{job="a"}', '{namespace="shop"}', "{p=~`a|b`}"])
selectors = st.builds("{}{}".format, names, labels)
queries = st.recursive(
    selectors,
    lambda inner: st.builds("({} + {})".format, inner, inner) | st.builds("sum by (job) ({})".format, inner),
    max_leaves=6,
)


@given(queries)
def test_what_is_printed_passes_the_operators_own_check(query: str) -> None:
    text, _ = in_namespace(query, KEY)
    bind(text, KEY, 0)
    assert in_namespace(text, KEY) == (text, False)
