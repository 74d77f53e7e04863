import string
from collections.abc import Callable

import promql_parser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scalableapp.core.api import promql
from scalableapp.core.api.promql import MAX_LENGTH, MOST_REGEXES, QueryRules, bind, check_total, plain_selector
from scalableapp.core.api.selectors import with_matchers
from scalableapp.core.model import AppKey
from scalableapp.errors import SpecError

SHOP = AppKey("shop", "web")


@pytest.mark.parametrize(
    ("query", "bound"),
    [
        pytest.param('sum(q{namespace="$namespace"})', 'sum(q{namespace="shop"})', id="the namespace is filled in"),
        pytest.param('q{namespace="$namespace",a="$app-$app"}', 'q{a="web-web",namespace="shop"}', id="and the app"),
        pytest.param('q{namespace="shop",a="$apple"}', 'q{a="$apple",namespace="shop"}', id="no other variable is"),
        pytest.param("q{namespace='shop'}", 'q{namespace="shop"}', id="quotes do not matter"),
        pytest.param('{"q", namespace="shop"}', '{__name__="q",namespace="shop"}', id="nor where the name stands"),
        pytest.param('q{namespace="shop"} # of {b}', 'q{namespace="shop"}', id="a comment is not sent"),
        pytest.param(
            'a{namespace="shop"} / on() b{namespace="shop",namespace=~".*"}',
            'a{namespace="shop"} / on () b{namespace="shop",namespace=~".*"}',
            id="a further matcher can only narrow",
        ),
        pytest.param('q{namespace=~"$namespace"}', 'q{namespace=~"shop"}', id="as a regular expression"),
        pytest.param('q{namespace=~`shop`,a=~"b.+"}', 'q{a=~"b.+",namespace=~"shop"}', id="of which there are others"),
        pytest.param(
            'holt_winters (q{namespace="shop",a="holt_winters("}[5m:], 0.1, 0.2)',
            'holt_winters(q{a="holt_winters(",namespace="shop"}[5m:], 0.1, 0.2)',
            id="what Prometheus 2 calls double_exponential_smoothing",
        ),
        pytest.param("vector(3)", "vector(3)", id="a constant reads nobody's metrics"),
    ],
)
def test_a_query_bound_to_its_namespace_is_let_pass(query: str, bound: str) -> None:
    assert bind(query, SHOP, 0) == bound


LEAKS = [
    "q",
    "q{}",
    'q{app="web"}',
    'q{namespace="other"}',
    'q{namespace=~"shop|other"}',
    'q{namespace=~"shop.*"}',
    'q{namespace=~"(?i)shop"}',
    'q{namespace=~"(shop)?"}',
    'q{namespace=~"sho\\\\x70"}',
    'q{namespace=~""}',
    'q{namespace!~"other"}',
    'q{namespace!=""}',
    'q{namespace="shop "}',
    '{__name__="q"}',
    '{__name__="namespace",namespace_="shop"}',
    'q{namespace!="shop"}',
    'q{exported_namespace="shop"}',
    '{__name__=~".+"}',
    'q{namespace="shop" or namespace="other"}',
    'q{namespace="shop\\"} or b{c=\\""}',
]
PLACES = {
    "alone": "{}",
    "left operand": '{} + a{{namespace="shop"}}',
    "right operand": 'a{{namespace="shop"}} or {}',
    "unless": 'a{{namespace="shop"}} unless ignoring(b) {}',
    "negated": "-{}",
    "aggregated": "sum by (pod) ({})",
    "parameter of an aggregation": 'topk(scalar({}), a{{namespace="shop"}})',
    "argument of a function": 'clamp_max(a{{namespace="shop"}}, scalar({}))',
    "range": "rate({}[5m])",
    "subquery": "max_over_time({}[5m:1m])",
    "subquery of a rate": "max_over_time(rate({}[1m])[5m:1m])",
    "absent": "absent({})",
    "after a comment": 'a{{namespace="shop"}} # x\n or {}',
    "with offset": "{} offset 5m",
    "at a time": "{} @ end()",
    "in parentheses": "((({})))",
    "relabelled to look our own": 'label_replace({}, "namespace", "shop", "", "")',
}


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_no_selector_reads_another_namespace_wherever_it_stands(place: str, leak: str) -> None:
    with pytest.raises(SpecError, match="namespace"):
        bind(place.format(leak), SHOP, 0)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_the_same_places_are_open_to_the_own_namespace(place: str) -> None:
    assert 'b{namespace="shop"}' in bind(place.format('b{namespace="shop"}'), SHOP, 0)


OF_PROXIES = QueryRules(("namespace", "exported_namespace"))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_another_label_may_name_the_namespace_if_the_operator_says_so(place: str) -> None:
    assert bind(place.format('q{exported_namespace="shop"}'), SHOP, 0, OF_PROXIES)
    with pytest.raises(SpecError, match=r"without namespace='shop' \(or exported_namespace\)"):
        bind(place.format('q{exported_namespace=~"shop|other"}'), SHOP, 0, OF_PROXIES)


ANY = QueryRules(any_namespace=True)
WITH_MATCHERS = [
    ("q", 'q{cluster="a"}'),
    ("rate(q[5m] offset 1m)", 'rate(q{cluster="a"}[5m] offset 1m)'),
    ("q @ end() + q{} + on (b) r{a='{'}", 'q{cluster="a"} @ end() + q{cluster="a"} + on (b) r{cluster="a",a="{"}'),
    ("sum by (q) (r) / s:q:t", 'sum by (q) (r{cluster="a"}) / s:q:t{cluster="a"}'),
    ('sum(sum_a) + count({__name__=~"a.*"})', 'sum(sum_a{cluster="a"}) + count({cluster="a",__name__=~"a.*"})'),
]


def test_a_selector_is_named_as_it_was_written() -> None:
    with pytest.raises(SpecError, match=r'selects q\{namespace=~"a\|b"\} without'):
        bind('q{namespace=~"a|b"}', SHOP, 0)


@pytest.mark.parametrize(("query", "sent"), WITH_MATCHERS)
def test_even_where_any_namespace_is_allowed_every_selector_is_given_the_matchers(query: str, sent: str) -> None:
    assert with_matchers(bind(query, SHOP, 0, ANY), 'cluster="a"') == sent


NOT_EVEN_THEN = [
    ("info(q)", "other namespaces and clusters"),
    ('q{a="b" or c="d"}', "`or` between braces"),
    ("sum by (q) (q)", "a metric and a label of one name"),
    ("q[5m]", "not one number"),
]


@pytest.mark.parametrize(("query", "message"), NOT_EVEN_THEN)
def test_what_no_matcher_could_reach_is_refused_all_the_same(query: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        bind(query, SHOP, 0, ANY)


@given(st.text(string.printable, max_size=60))
def test_matchers_reach_every_selector_whatever_the_query(text: str) -> None:
    try:
        sent = with_matchers(bind(f"max({text})", SHOP, 0, ANY), 'cluster="a"')
    except SpecError:
        return
    found = promql._nodes(promql_parser.parse(sent), "query")
    selectors = [node for node in found if isinstance(node, promql_parser.VectorSelector)]
    assert all(any(matcher.name == "cluster" for matcher in node.matchers.matchers) for node in selectors)


def test_the_age_of_a_bare_selector_is_asked_with_the_matchers() -> None:
    assert plain_selector(bind("q", SHOP, 0, ANY)) == "q{}"


OWN, FOREIGN = 'a{namespace="shop"}', 'b{namespace="other"}'
expressions = st.recursive(
    st.sampled_from([OWN, FOREIGN, "vector(1)"]),
    lambda inner: st.one_of(
        st.builds("vector(scalar({}))".format, inner),
        st.builds("({} + {})".format, inner, inner),
        st.builds("sum(vector(scalar({})))".format, inner),
        st.builds("topk(scalar({}), vector(scalar({})))".format, inner, inner),
        st.builds("avg_over_time(vector(scalar({}))[5m:1m])".format, inner),
    ),
    max_leaves=8,
)


def passes(query: str) -> bool:
    try:
        bind(query, SHOP, 0)
    except SpecError:
        return False
    return True


@given(expressions)
def test_a_query_passes_if_and_only_if_it_reads_nothing_foreign(query: str) -> None:
    assert passes(query) == (FOREIGN not in query)


@given(st.text(string.printable, max_size=60))
def test_a_label_value_cannot_break_out_of_its_quotes(value: str) -> None:
    query = f'sum(q{{namespace="$namespace",x="{value}"}})'
    try:
        text = bind(query, SHOP, 0)
    except SpecError:
        return
    assert bind(text, SHOP, 0) == text
    assert text.count('namespace="shop"') >= 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("sum(", "is not valid PromQL", id="wrong syntax"),
        pytest.param('q{namespace="shop"}[5m]', "not one number", id="a range"),
        pytest.param('(q{namespace="shop"}[5m:1m])', "not one number", id="a subquery"),
        pytest.param('"text"', "not one number", id="a text"),
        pytest.param('info(q{namespace="shop"})', "other namespaces", id="info() joins foreign labels"),
        pytest.param("$other", "is not valid PromQL", id="an unknown variable"),
        pytest.param("1+" * MAX_LENGTH + "1", "longer than", id="too long"),
        pytest.param(
            'q{namespace="shop"' + ',a=~"b"' * (MOST_REGEXES + 1) + "}", "more than 32 regular", id="too many regexes"
        ),
        pytest.param('q{namespace="shop",a=~"\\d"}', "unknown escape", id="a regex with an escape that is none"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused_with_its_field_and_a_fix(query: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        bind(query, SHOP, 3)
    problem = caught.value.problems[0]
    assert problem.field == "spec.scaling.horizontal.metrics[3].query"
    assert problem.fix


def test_a_name_that_is_no_dns_label_is_never_filled_in() -> None:
    with pytest.raises(SpecError, match=r"metadata\.name"):
        bind('q{namespace="$namespace"}', AppKey("shop", 'a"} or b{x="'), 0)


NESTED: dict[str, Callable[[int], str]] = {
    "parentheses": lambda depth: "(" * depth + "vector(1)" + ")" * depth,
    "signs": lambda depth: "-" * depth + "vector(1)",
    "a chain": lambda depth: "+".join(["vector(1)"] * (depth // 2)),
    "words": lambda depth: " or ".join(["vector(1)"] * (depth // 2)),
    "calls": lambda depth: "abs(" * depth + "vector(1)" + ")" * depth,
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED.keys())
def test_a_query_may_be_nested_deeper_than_people_read(nested: Callable[[int], str]) -> None:
    assert bind(nested(100), SHOP, 0)


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED.keys())
def test_a_query_that_would_keep_the_parser_busy_is_refused_unparsed(nested: Callable[[int], str]) -> None:
    with pytest.raises(SpecError, match=r"operators and calls|longer than"):
        bind(nested(400), SHOP, 0)


def test_queries_that_would_do_so_together_are_refused_with_the_longest_of_them() -> None:
    check_total({0: NESTED["signs"](100), 1: NESTED["signs"](127)})
    with pytest.raises(SpecError, match=r"metrics\[1\].query: is the longest .* 260 operators"):
        check_total({0: NESTED["signs"](100), 1: NESTED["signs"](127), 4: NESTED["signs"](30)})


REGEXES = {
    "as it is": ('"a.*|b"', '"a.*|b"'),
    "escapes": (r'"a\\d\n\"\x41"', r'"a\\d\n\"A"'),
    "other quotes": ("'a\"b'", r'"a\"b"'),
    "raw": ('`a"b`', r'"a\"b"'),
    "after a comment with quotes": ('# b=~"\n"a"', '"a"'),
    "like a mark": ('"regex_0"', '"regex_0"'),
    "no regular expression, which Prometheus says": ('"("', '"("'),
}


@pytest.mark.parametrize(("written", "sent"), REGEXES.values(), ids=REGEXES.keys())
def test_regular_expressions_are_sent_as_they_are_meant(written: str, sent: str) -> None:
    query = f'sum(q{{a=~{written},namespace="shop",b!~{written}}})'
    assert bind(query, SHOP, 0) == f'sum(q{{a=~{sent},b!~{sent},namespace="shop"}})'
    selector = bind(f'q{{a=~{written},namespace="shop"}}', SHOP, 0)
    assert plain_selector(selector) == selector == f'q{{a=~{sent},namespace="shop"}}'


def test_regular_expressions_are_never_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed, really = list[str](), promql_parser.parse

    def parse(text: str) -> promql_parser.Expr:
        parsed.append(text)
        return really(text)

    monkeypatch.setattr(promql_parser, "parse", parse)
    costly = r'=~"\\w{100}"'
    query = 'sum(q{namespace="shop",' + f"b{costly}," * 30 + "})"
    assert costly in bind(query, SHOP, 0)
    assert not [text for text in parsed if "{100}" in text and "=~" in text]


PIECES = ["q", "{", "}", "(", ")", ",", "a", "b", "=", "=~", "!~", "!=", '"', "'", "`", "\\", "#", "\n", "\r", " "]
PIECES += ["or", "x.*", 'namespace="shop"', "q{", 'a=~"x"', "regex_0", "regex", r"\x72egex_0", "[1m]"]


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
@example('q{namespace="shop",a=~`x\\`}')
@example('q{namespace="shop",a=~`x\\`,b=~"y"}')
@example('q{namespace="shop",a="\\x72egex_0",b=~"other"}')
@example("q{namespace='shop',a=~# \"\n'x'}")
@example('q{namespace="shop",a=~#\r"x"\n"y"}')
@example('q{a="b\nc",d=~"x"}')
@example('q{a=~"b\nc",d=~"x"}')
def test_the_checker_finds_the_regular_expressions_that_the_parser_finds(query: str) -> None:
    """Whatever the parser accepts with its regular expressions compiled says the same with marks in their place."""
    try:
        whole = promql_parser.parse(query)
    except ValueError:
        return
    try:
        masked = promql._masked(query, "query")
    except SpecError:
        return
    assert [(m.name, m.value) for m in regexes(whole)] == [
        (m.name, masked.regexes[m.value]) for m in regexes(promql_parser.parse(masked.text))
    ]


def regexes(tree: promql_parser.Expr) -> list[promql_parser.Matcher]:
    selectors = (n for n in promql._nodes(tree, "query") if isinstance(n, promql_parser.VectorSelector))
    found = (matcher for selector in selectors for matcher in selector.matchers.matchers)
    return [matcher for matcher in found if matcher.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe)]


def test_a_namespace_that_is_called_like_a_mark_cannot_be_changed_by_one() -> None:
    key = AppKey("regex-0", "web")
    query = 'q{namespace="\\x72egex-0",a="\\x72egex_0",b=~"other"}'
    with pytest.raises(SpecError, match="told apart"):
        bind(query, key, 0)


@pytest.mark.parametrize(
    ("query", "selector"),
    [
        ('(q{namespace="a"})', 'q{namespace="a"}'),
        ('sum(q{namespace="a"})', None),
        ('q{namespace="a"} offset 5m', None),
        ('q{namespace="a"} @ end()', None),
        ("vector(1)", None),
    ],
)
def test_only_of_a_plain_selector_the_age_can_be_asked(query: str, selector: str | None) -> None:
    assert plain_selector(query) == selector
