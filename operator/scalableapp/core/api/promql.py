"""Users' PromQL: variables are filled in, and queries are limited to metrics of the user's own namespace.

Fail-closed: a query is accepted only when every part of its syntax tree is of a known kind and every selector
requires namespace="<own namespace>", or another label that the operator's settings name; these may allow any
namespace, on a cluster of one team. The query sent to Prometheus is regenerated from the parsed tree, so that exactly
what was checked is sent, however the user's text was quoted or commented.

The parser compiles regular expressions, and holds the interpreter while it does: one of 9 characters takes 50 ms and
megabytes. So it is given marks in their place. They are checked by Prometheus, which takes linear time.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import promql_parser as ast

from scalableapp.core.api.selectors import with_braces
from scalableapp.core.model import AppKey
from scalableapp.errors import FieldProblem, SpecError

# As the CRD allows.
MAX_LENGTH = 2048
# The parser's time grows with the square of nesting and chaining (seconds at a thousand, and the loop waits for it).
MOST_PARTS = 128
MOST_PARTS_OF_AN_APP = 256
MOST_REGEXES = 32
_PARTS = re.compile(r"[-+*/%^(<>=!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_VARIABLE = re.compile(r"\$(namespace|app)\b")
_TEXT = r""" "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `(?:[^`\\]|\\.)*` """
# What is to be found first, or to be passed over as a whole.
_TOKENS = re.compile(
    rf"(?P<operator> [=!]~ (?: \s | \#[^\n]*+ )*+ ) (?P<regex>{_TEXT}) | {_TEXT} | \#[^\n]*", re.VERBOSE | re.DOTALL
)

# info() joins the labels of info metrics of whatever namespace without a selector that could be checked.
_REFUSED_FUNCTIONS = frozenset({"info"})

# The parser knows the name that Prometheus 3 has for what it called so before.
_OLD_NAME, _NEW_NAME = "holt_winters", "double_exponential_smoothing"

_NOT_ONE_NUMBER = (ast.StringLiteral, ast.MatrixSelector, ast.SubqueryExpr)


class QueryRules(NamedTuple):
    """What users' queries may select: series that have the app's namespace in one of `labels`, or any series."""

    labels: tuple[str, ...] = ("namespace",)
    any_namespace: bool = False


OWN_NAMESPACE = QueryRules()


def bind(query: str, key: AppKey, index: int, rules: QueryRules = OWN_NAMESPACE) -> str:
    """The query of `spec.scaling.horizontal.metrics[index]` as it may be sent to Prometheus for this app.

    Raises SpecError that names the field and how to fix it: wrong syntax, no single number, or a selector that is not
    bound to the app's namespace. All selectors of what is returned have braces.
    """
    field = f"spec.scaling.horizontal.metrics[{index}].query"
    filled = _fill(query, key)
    if len(filled) > MAX_LENGTH:
        raise _error(field, f"is longer than {MAX_LENGTH} characters", "shorten it, or use a recording rule")
    if _parts_in(filled) > MOST_PARTS:
        raise _error(field, f"has more than {MOST_PARTS} operators and calls", "simplify it, or use a recording rule")
    masked = _masked(filled, field)
    tree = _parse(masked.text, field)
    text = tree.prettify()
    nodes = list(_nodes(_parse(text, field), field))
    for node in nodes:
        _check(node, key.namespace, masked, field, rules)
    if isinstance(_inner(tree), _NOT_ONE_NUMBER):
        raise _error(
            field, "returns a range or a string, not one number", "wrap it, for example max_over_time(...) or rate(...)"
        )
    return _unmasked(_in_braces(text, nodes, field), masked, field)


def check_total(queries: Mapping[int, str]) -> None:
    """Refuse an app whose queries take too long to check all together. Raises SpecError that names the longest.

    `queries` maps the index in `spec.scaling.horizontal.metrics` to the query.
    """
    parts = {index: _parts_in(query) for index, query in queries.items()}
    if (total := sum(parts.values())) > MOST_PARTS_OF_AN_APP:
        longest = max(parts, key=lambda index: parts[index])
        raise _error(
            f"spec.scaling.horizontal.metrics[{longest}].query",
            f"is the longest of queries that have {total} operators and calls together, more than the "
            f"{MOST_PARTS_OF_AN_APP} that an app may have",
            "use recording rules",
        )


@lru_cache(maxsize=1024)
def plain_selector(query: str) -> str | None:
    """The selector of a query that only selects the newest samples, whose age timestamp() returns.

    None for a query that computes something: Prometheus does not report how old the samples behind its value are.
    """
    masked = _masked(query, "query")
    node = _inner(ast.parse(masked.text))
    if not isinstance(node, ast.VectorSelector) or node.offset is not None or node.at is not None:
        return None
    return _unmasked(_in_braces(node.prettify(), [node], "query"), masked, "query")


def _fill(query: str, key: AppKey) -> str:
    for name, value in (("metadata.namespace", key.namespace), ("metadata.name", key.name)):
        if not _LABEL.match(value):
            raise _error(name, f"{value!r} is not a DNS label", "use lower-case letters, digits and hyphens")
    values = {"namespace": key.namespace, "app": key.name}
    return _VARIABLE.sub(lambda match: values[match[1]], query)


def _parts_in(query: str) -> int:
    return len(_PARTS.findall(query))


class _Masked(NamedTuple):
    """A query with a mark in the place of each regular expression; `regexes` maps the marks to what they stand for."""

    text: str
    regexes: Mapping[str, str]
    renamed: bool = False


def _masked(query: str, field: str) -> _Masked:
    """Raises SpecError for too many regular expressions, and for one that is no valid string."""
    regexes: dict[str, str] = {}
    stem = "regex_"  # no name of a namespace, which has no underscore
    while stem in query:
        stem += "_"

    def mark(match: re.Match[str]) -> str:
        if not match["operator"]:
            return match[0]
        name = f"{stem}{len(regexes)}"
        regexes[name] = _decoded(match["regex"], field) if len(regexes) < MOST_REGEXES else ""
        return f'{match["operator"]}"{name}"'

    text = _renamed(_TOKENS.sub(mark, query), _OLD_NAME, _NEW_NAME)
    renamed = _renamed(query, _OLD_NAME, _NEW_NAME) != query
    if len(regexes) > MOST_REGEXES:
        raise _error(field, f"has more than {MOST_REGEXES} regular expressions", "join them with |, or shorten it")
    return _Masked(text, regexes, renamed)


def _renamed(text: str, old: str, new: str) -> str:
    """The text with calls of `old` as calls of `new`."""
    calls = re.compile(rf"{_TEXT} | \#[^\n]* | \b{old} (?= \s*\( )", re.VERBOSE | re.DOTALL)
    return calls.sub(lambda found: new if found[0] == old else found[0], text)


def _decoded(literal: str, field: str) -> str:
    """What a string says, as the parser reads it."""
    parsed = _parse(literal, field)
    if not isinstance(parsed, ast.StringLiteral):
        raise _error(field, f"has a regular expression that cannot be read: {_short(literal)}", 'quote it with "')
    return parsed.val


def _unmasked(text: str, masked: _Masked, field: str) -> str:
    """The text with the regular expressions, each in a place of its own."""
    text = _renamed(text, _NEW_NAME, _OLD_NAME) if masked.renamed else text
    for mark, regex in masked.regexes.items():
        before, found, after = text.partition(f'"{mark}"')
        if not found or f'"{mark}"' in after:
            raise _error(field, "has regular expressions that cannot be told apart", 'quote them with " and \\\\')
        text = f"{before}{json.dumps(regex, ensure_ascii=False)}{after}"
    return text


def _parse(text: str, field: str) -> ast.Expr:
    try:
        parsed = ast.parse(text)
    except (ValueError, RecursionError) as error:
        raise _error(field, f"is not valid PromQL: {error}", "try it on Prometheus' query page") from error
    if not isinstance(parsed, ast.Expr):
        raise _error(field, "is not an expression", "write a PromQL expression")
    return parsed


def _inner(node: ast.Expr) -> ast.Expr:
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return node


def _nodes(root: ast.Expr, field: str) -> Iterator[ast.Expr]:
    """Every part of the tree; the library's own walk takes minutes where calls are nested deeply."""
    pending = [root]
    while pending:
        node = pending.pop()
        parts = _parts(node)
        if parts is None:
            raise _error(
                field, f"has a part that cannot be checked ({type(node).__name__})", "rewrite it without that part"
            )
        pending.extend(parts)
        yield node


def _parts(node: ast.Expr) -> Sequence[ast.Expr] | None:  # noqa: PLR0911 - a table, one line per kind of node
    """What the node is made of; None for a kind that is not known here."""
    match node:
        case ast.NumberLiteral() | ast.StringLiteral() | ast.VectorSelector():
            return ()
        case ast.MatrixSelector():
            return (node.vector_selector,)
        case ast.ParenExpr() | ast.UnaryExpr() | ast.SubqueryExpr():
            return (node.expr,)
        case ast.AggregateExpr():
            return (node.expr,) if node.param is None else (node.expr, node.param)
        case ast.BinaryExpr():
            return (node.lhs, node.rhs)
        case ast.Call():
            return node.args
    return None


def _in_braces(text: str, nodes: Sequence[ast.Expr], field: str) -> str:
    """The query with braces at each selector, so that it can be given further matchers."""
    found = text
    selectors = (node for node in nodes if isinstance(node, ast.VectorSelector) and not node.matchers.matchers)
    for name in {node.name for node in selectors if node.name}:
        found = with_braces(found, name)
    if found != text:
        try:
            same = ast.parse(found).prettify() == text
        except ValueError:
            same = False
        if not same:
            raise _error(field, "has a metric and a label of one name", "write {} after the name of the metric")
    return found


def _check(node: ast.Expr, namespace: str, masked: _Masked, field: str, rules: QueryRules) -> None:
    if isinstance(node, ast.Call) and node.func.name in _REFUSED_FUNCTIONS:
        raise _error(
            field,
            f"calls {node.func.name}(), which reads metrics of other namespaces and clusters",
            "join with * on(...) group_left",
        )
    if not isinstance(node, ast.VectorSelector):
        return
    matchers = node.matchers
    bound = any(
        matcher.name in rules.labels and _exactly(matcher, masked) == namespace for matcher in matchers.matchers
    )
    by_regex = (matcher for matcher in matchers.matchers if matcher.op in (ast.MatchOp.Re, ast.MatchOp.NotRe))
    if not all(matcher.value in masked.regexes for matcher in by_regex):
        raise _error(field, "has a regular expression in an unusual place", 'write NAME=~"..." without a comment')
    if matchers.or_matchers:
        raise _error(
            field,
            f"selects {_shown(node, masked)} with `or` between braces, which could read other teams' metrics",
            "use `or` between two selectors",
        )
    if not (bound or rules.any_namespace):
        label, *others = rules.labels
        also = f" (or {', '.join(others)})" if others else ""
        raise _error(
            field,
            f"selects {_shown(node, masked)} without {label}={namespace!r}{also}, "
            "so it could read other teams' metrics",
            f'add {label}="$namespace" to every selector',
        )


def _exactly(matcher: ast.Matcher, masked: _Masked) -> str | None:
    """The only value that fits. A namespace means itself as a regular expression, and those are anchored."""
    if matcher.op == ast.MatchOp.Re:
        return masked.regexes.get(matcher.value)
    return str(matcher.value) if matcher.op == ast.MatchOp.Equal else None


def _shown(node: ast.Expr, masked: _Masked) -> str:
    """A part of the query as the user wrote it."""
    text = str(node)
    for mark, regex in masked.regexes.items():
        text = text.replace(f'"{mark}"', json.dumps(regex, ensure_ascii=False))
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _error(field: str, problem: str, fix: str) -> SpecError:
    return SpecError((FieldProblem(field, problem, fix),))
